# Installs what the peers need into build/foreign; read by `run` and by those who share its peers.
# Expects $name (who complains) and sets $kits (where things are installed).

foreign=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kits=$(cd "$foreign/../.." && pwd)/build/foreign
mkdir -p "$kits"

fail() {
  echo "$name: $1" >&2
  exit 1
}

need() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null || fail "$tool is missing; install it (Debian: apt-get install nodejs npm python3-venv perl coreutils)"
  done
}

# debian PACKAGE…: Debian packages, installed when they are missing.
debian() {
  local package missing=()
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  ((${#missing[@]} > 0)) || return 0
  ((EUID == 0)) || fail "these Debian packages are missing: ${missing[*]}"
  local apt=(apt-get -o DPkg::Lock::Timeout=300 -qq)
  local install=(install -y --no-install-recommends "${missing[@]}")
  DEBIAN_FRONTEND=noninteractive "${apt[@]}" "${install[@]}" >/dev/null 2>&1 ||
    { "${apt[@]}" update && DEBIAN_FRONTEND=noninteractive "${apt[@]}" "${install[@]}" >/dev/null; } ||
    fail "these Debian packages could not be installed: ${missing[*]}"
}

# The packages of the lock file, with copies of the peers beside them, where Node finds them.
install_node() {
  need node npm
  mkdir -p "$kits/node"
  cp -r "$foreign/.npmrc" "$foreign"/package*.json "$foreign/lib" "$foreign/clients" "$foreign/servers" "$kits/node/"
  if ! cmp -s "$foreign/package-lock.json" "$kits/node/installed"; then
    (cd "$kits/node" && npm ci --silent) || fail "npm ci failed in $kits/node"
    cp "$foreign/package-lock.json" "$kits/node/installed"
  fi
}

install_python() {
  need python3
  if ! cmp -s "$foreign/requirements.txt" "$kits/python/installed"; then
    python3 -m venv --clear "$kits/python" &&
      "$kits/python/bin/pip" --quiet --disable-pip-version-check install --requirement "$foreign/requirements.txt" ||
      fail "the requirements could not be installed in $kits/python"
    cp "$foreign/requirements.txt" "$kits/python/installed"
  fi
}

# Single files are compiled as they are started, quickly rather than well.
install_java() {
  command -v javac >/dev/null || debian default-jdk-headless
  debian libnetty-java libjzlib-java
  local jar=/usr/share/java/netty
  java=(-XX:TieredStopAtLevel=1 -XX:+UseSerialGC
    -cp "$jar-common.jar:$jar-buffer.jar:$jar-transport.jar:$jar-resolver.jar:$jar-handler.jar:$jar-codec.jar:$jar-codec-http.jar:/usr/share/java/jzlib.jar")
}

# compile FILE: a C program, with lib/ beside it.
compile() {
  debian gcc libc6-dev libwebsockets-dev libssl-dev
  mkdir -p "$kits/c/${1%/*}"
  cc -std=gnu17 -O1 -Wall -Wextra -Werror -I "$foreign/lib" -o "$kits/c/${1%.c}" "$foreign/$1" -lwebsockets ||
    fail "$1 does not compile"
}

# A certificate for 127.0.0.1, its key, and the authority that signed it: new in every run.
certify() {
  debian openssl
  local folder=$kits/tls curve=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
  mkdir -p "$folder"
  openssl req -x509 "${curve[@]}" -days 2 -subj "/CN=authority of the tests" -addext basicConstraints=critical,CA:TRUE \
    -keyout "$folder/authority.key" -out "$folder/authority.pem" 2>/dev/null &&
    openssl req "${curve[@]}" -subj /CN=localhost -keyout "$folder/key.pem" -out "$folder/request.pem" 2>/dev/null &&
    openssl x509 -req -in "$folder/request.pem" -days 2 -CA "$folder/authority.pem" -CAkey "$folder/authority.key" \
      -CAcreateserial -extfile <(echo "subjectAltName=IP:127.0.0.1,DNS:localhost") -out "$folder/certificate.pem" 2>/dev/null ||
    fail "openssl made no certificate in $folder"
  export AUTHORITY=$folder/authority.pem CERTIFICATE=$folder/certificate.pem KEY=$folder/key.pem
}

# prepare FILE: installs what a peer of this kind needs and puts its command into $command.
prepare() {
  local path=$foreign/$1
  [[ -f $path ]] || fail "there is no peer $path"
  case $1 in
    clients/chromium.js) debian chromium && install_node && command=(node "$kits/node/$1") ;;
    clients/firefox.js) debian firefox-esr libnss3-tools && install_node && command=(node "$kits/node/$1") ;;
    *.js) install_node && command=(node "$kits/node/$1") ;;
    *.py) install_python && command=(env PYTHONDONTWRITEBYTECODE=1 "$kits/python/bin/python" "$path") ;;
    *.pl) debian perl libprotocol-websocket-perl && command=(perl "$path") ;;
    *.rb) debian ruby ruby-websocket ruby-em-websocket && command=(ruby "$path") ;;
    *.java) install_java && command=(java "${java[@]}" "$path") ;;
    *.c) compile "$1" && command=("$kits/c/${1%.c}") ;;
    # What else there is installs its own.
    *) command=("$path") ;;
  esac
}

# start LOG COMMAND…: starts a server in the background, puts its process into $server and, when it
# says `listening on HOST:PORT`, that into $address.
start() {
  local log=$1
  : >"$log" # it is read before the server may have opened it
  "${@:2}" >"$log" 2>&1 &
  server=$!
  for _ in {1..600}; do
    address=$(sed -n 's/^listening on \(127\.0\.0\.1:[0-9]*\)$/\1/p' "$log" | head -n 1)
    [[ -z $address ]] || return 0
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  cat "$log" >&2
  fail "a server did not say within a minute where it listens: ${*:2}"
}

// libwebsockets as the client, plain, compressed, and over TLS.

#include <stdarg.h>

#include "lws.h"

// When compression is agreed on, what comes without it (RFC 7692 section 6 allows that, and pongs are
// never compressed) is read again and again without end. With this, everything shrinks.
#define AGAIN ", the same words, the same words, the same words, the same words, the same words" \
	", the same words, the same words, the same words, the same words, the same words"

enum { SECONDS = 10, TICK = 20000 /* microseconds */ };
static const size_t SIZES[] = { 0, 1, 125, 126, 127, 65535, 65536, 1048576 };

enum state { CONNECTING, OPEN, FAILED, ENDED };

/// A connection.
struct peer {
	struct lws *wsi;
	enum state state;
	struct queue out, in;
	struct pieces pieces;
	bool deflate; // whether to offer it
	char agreed[128]; // extensions
	char protocol[32];
	int close; // the code to close with, 0 for none
	int received; // the code of their close frame
	unsigned status; // of an answer that refuses
};

static struct lws_context *context;
static struct lws_sorted_usec_list ticker;
static int checks;
static char why[200];

static int observe(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct peer *peer = user;
	const unsigned char *bytes = in;

	switch (reason) {
	case LWS_CALLBACK_CLIENT_CONFIRM_EXTENSION_SUPPORTED:
		return peer != NULL && !peer->deflate;
	case LWS_CALLBACK_CLIENT_FILTER_PRE_ESTABLISH:
		if (lws_hdr_copy(wsi, peer->agreed, sizeof peer->agreed, WSI_TOKEN_EXTENSIONS) < 0)
			peer->agreed[0] = 0;
		if (lws_hdr_copy(wsi, peer->protocol, sizeof peer->protocol, WSI_TOKEN_PROTOCOL) < 0)
			peer->protocol[0] = 0;
		return 0;
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		peer->state = OPEN;
		return 0;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		peer->state = FAILED;
		peer->status = lws_http_client_http_response(wsi);
		return 0;
	case LWS_CALLBACK_CLIENT_RECEIVE:
		gather(&peer->pieces, wsi, in, len, &peer->in);
		return 0;
	case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
		push(&peer->in, LWS_WRITE_PONG, in, len);
		return 0;
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		if (peer->close != 0 && peer->out.first == NULL) {
			lws_close_reason(wsi, (enum lws_close_status)peer->close, (unsigned char *)"bye", 3);
			return -1;
		}
		return write_next(wsi, &peer->out) ? 0 : -1;
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		peer->received = len >= 2 ? bytes[0] << 8 | bytes[1] : 1005;
		return 0;
	case LWS_CALLBACK_CLIENT_CLOSED:
		peer->state = ENDED;
		return 0;
	default:
		return 0;
	}
}

/// Wakes the loop below, which looks at the clock.
static void tick(struct lws_sorted_usec_list *list)
{
	lws_sul_schedule(context, 0, list, tick, TICK);
}

static bool fails(const char *format, ...)
{
	va_list values;

	va_start(values, format);
	vsnprintf(why, sizeof why, format, values);
	va_end(values);
	return false;
}

static lws_usec_t deadline(void)
{
	return lws_now_usecs() + (lws_usec_t)SECONDS * LWS_US_PER_SEC;
}

/// Runs the loop until the connection leaves this state.
static bool leaves(struct peer *peer, enum state state)
{
	for (lws_usec_t end = deadline(); peer->state == state;)
		if (lws_now_usecs() > end || lws_service(context, 0) < 0)
			return fails("nothing happened in %d s", SECONDS);
	return true;
}

static void begin(struct peer *peer, const char *variable, const char *protocol, bool deflate)
{
	const char *address = getenv(variable);
	bool secure = strcmp(variable, "SECURE") == 0;
	char host[40];
	struct lws_client_connect_info info = {
		.context = context,
		.address = "127.0.0.1",
		.path = "/",
		.protocol = protocol,
		.local_protocol_name = "observed",
		.ietf_version_or_minus_one = -1,
		.userdata = peer,
		.ssl_connection = secure ? LCCSCF_USE_SSL : 0,
		.pwsi = &peer->wsi,
	};

	*peer = (struct peer){ .deflate = deflate };
	if (address == NULL) {
		peer->state = FAILED;
		return;
	}
	info.port = atoi(strchr(address, ':') + 1);
	// Certificates are compared with this name.
	snprintf(host, sizeof host, "localhost:%d", info.port);
	info.host = info.origin = host;
	lws_client_connect_via_info(&info);
	leaves(peer, CONNECTING);
}

static void end(struct peer *peer)
{
	if (peer->state == OPEN) {
		peer->close = LWS_CLOSE_STATUS_NORMAL;
		lws_callback_on_writable(peer->wsi);
		leaves(peer, OPEN);
	}
	clear(&peer->in);
	clear(&peer->out);
	free(peer->pieces.bytes);
}

static void say(struct peer *peer, int kind, const void *bytes, size_t len)
{
	push(&peer->out, kind, bytes, len);
	lws_callback_on_writable(peer->wsi);
}

/// Whether the next thing that comes is this.
static bool hears(struct peer *peer, int kind, const void *bytes, size_t len)
{
	struct message *message;
	bool same;

	for (lws_usec_t due = deadline(); peer->in.first == NULL && peer->state == OPEN;)
		if (lws_now_usecs() > due || lws_service(context, 0) < 0)
			return fails("nothing came in %d s", SECONDS);
	message = pop(&peer->in);
	if (message == NULL)
		return fails("the connection ended");
	same = message->kind == kind && message->len == len && memcmp(message->bytes, bytes, len) == 0;
	if (!same)
		fails("kind %d of %zu bytes came, not kind %d of %zu", message->kind, message->len, kind, len);
	done_with(message);
	return same;
}

static bool echo(struct peer *peer, int kind, const void *bytes, size_t len)
{
	say(peer, kind, bytes, len);
	return hears(peer, kind, bytes, len);
}

static void report(bool passed, const char *format, ...)
{
	va_list values;

	checks++;
	fputs(passed ? "ok " : "not ok ", stdout);
	va_start(values, format);
	vprintf(format, values);
	va_end(values);
	printf(passed ? "\n" : ": %s\n", why);
	fflush(stdout);
}

/// Bytes that do not shrink, or the same letter.
static unsigned char *payload(size_t len, bool noise)
{
	unsigned char *bytes = need(malloc(len + 1));
	unsigned state = 7;

	for (size_t at = 0; at < len; at++) {
		state = state * 1664525 + 1013904223;
		bytes[at] = noise ? (unsigned char)(state >> 24) : 't';
	}
	return bytes;
}

static bool in_order(struct peer *peer, int count)
{
	char text[240];

	for (int at = 0; at < count; at++)
		say(peer, LWS_WRITE_TEXT, text, (size_t)snprintf(text, sizeof text, "text %d" AGAIN, at));
	for (int at = 0; at < count; at++)
		if (!hears(peer, LWS_WRITE_TEXT, text, (size_t)snprintf(text, sizeof text, "text %d" AGAIN, at)))
			return false;
	return true;
}

static void messages(const char *name, struct peer *peer, bool deflate)
{
	static const char words[] = "a é 世 👋 \0 \xF4\x8F\xBF\xBF" AGAIN;
	static const char fragments[] = "one 👋 message" AGAIN;

	for (size_t at = 0; at < LWS_ARRAY_SIZE(SIZES); at++) {
		size_t size = SIZES[at];
		unsigned char *text = payload(size, false), *noise = payload(size, true);

		if (!deflate)
			report(echo(peer, LWS_WRITE_BINARY, noise, size), "%s, binary of %zu bytes", name, size);
		if (!deflate || size >= 125)
			report(echo(peer, LWS_WRITE_TEXT, text, size), "%s, text of %zu bytes", name, size);
		free(text);
		free(noise);
	}
	report(echo(peer, LWS_WRITE_TEXT, words, sizeof words - 1), "%s, text in UTF-8, with U+0000", name);
	report(in_order(peer, 500), "%s, 500 texts without waiting, in order", name);
	if (!deflate) {
		say(peer, LWS_WRITE_PING, "there?", 6);
		report(hears(peer, LWS_WRITE_PONG, "there?", 6), "%s, a ping", name);
	}
	say(peer, LWS_WRITE_TEXT | LWS_WRITE_NO_FIN, fragments, 6);
	say(peer, LWS_WRITE_CONTINUATION | LWS_WRITE_NO_FIN, fragments + 6, 1);
	say(peer, LWS_WRITE_CONTINUATION, fragments + 7, sizeof fragments - 8);
	report(hears(peer, LWS_WRITE_TEXT, fragments, sizeof fragments - 1), "%s, fragments cut inside a character", name);
}

/// Whether the server says this code after this message.
static bool is_closed_by(const char *variable, const void *bytes, size_t len, int kind, int code)
{
	struct peer peer;
	bool right;

	begin(&peer, variable, NULL, false);
	right = peer.state == OPEN || fails("it did not open");
	if (right) {
		say(&peer, kind, bytes, len);
		right = leaves(&peer, OPEN);
	}
	if (right && peer.received != code)
		right = fails("%d came", peer.received);
	end(&peer);
	return right;
}

static void closes(void)
{
	unsigned char *large = payload(LIMIT + 1, true);
	struct peer peer;

	report(is_closed_by("ECHO", "close, please", 13, LWS_WRITE_TEXT, 1000), "the server closes");
	report(is_closed_by("ECHO", large, LIMIT + 1, LWS_WRITE_BINARY, 1009), "a message over the limit gets 1009");
	report(is_closed_by("ECHO", "a\xFF", 2, LWS_WRITE_TEXT, 1007), "text that is not UTF-8 gets 1007");
	free(large);
	begin(&peer, "ECHO", NULL, false);
	peer.close = 4001;
	lws_callback_on_writable(peer.wsi);
	report(leaves(&peer, OPEN) && peer.state == ENDED, "the client closes");
	end(&peer);
}

static void handshakes(void)
{
	struct peer peer;

	begin(&peer, "ECHO", "unheard-of, chat", false);
	report(strcmp(peer.protocol, "chat") == 0 || fails("it is \"%s\"", peer.protocol), "a subprotocol");
	end(&peer);
	begin(&peer, "LIMITED", NULL, false);
	report((peer.state == FAILED && peer.status == 403) || fails("the status is %u", peer.status), "another origin gets 403");
	end(&peer);
}

static void suite(const char *variable, bool offer, const char *agreed)
{
	struct peer peer;

	begin(&peer, variable, NULL, offer);
	report(peer.state == OPEN || fails("state %d, status %u", peer.state, peer.status), "%s opens", variable);
	if (peer.state == OPEN) {
		report(strncmp(peer.agreed, agreed, strlen(agreed)) == 0 && (agreed[0] != 0 || peer.agreed[0] == 0) ? true
			       : fails("it is \"%s\"", peer.agreed),
		       "%s, what is agreed on is right: \"%s\"", variable, peer.agreed);
		messages(variable, &peer, peer.agreed[0] != 0);
	}
	end(&peer);
}

int main(void)
{
	static const struct lws_protocols protocols[] = {
		{ "observed", observe, 0, 65536, 0, NULL, 0 },
		{ "chat", observe, 0, 65536, 0, NULL, 0 },
		{ NULL, NULL, 0, 0, 0, NULL, 0 },
	};
	static const struct lws_extension extensions[] = {
		{ "permessage-deflate", lws_extension_callback_pm_deflate, "permessage-deflate; client_max_window_bits" },
		{ NULL, NULL, NULL },
	};
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.protocols = protocols,
		.extensions = extensions,
		.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
		.client_ssl_ca_filepath = getenv("AUTHORITY"),
	};

	lws_set_log_level(LLL_ERR, NULL);
	printf("library libwebsockets %s\n", lws_get_library_version());
	context = need(lws_create_context(&info));
	tick(&ticker);
	suite("ECHO", true, ""); // its offer is declined
	suite("DEFLATE", true, "permessage-deflate; server_no_context_takeover");
	suite("TAKEOVER", true, "permessage-deflate");
	suite("SECURE", true, "permessage-deflate");
	closes();
	handshakes();
	printf("done %d\n", checks);
	lws_context_destroy(context);
	return 0;
}

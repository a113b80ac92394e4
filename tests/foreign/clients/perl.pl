#!/usr/bin/perl
# Debian's Protocol::WebSocket as the client: draft75, draft76, hybi-07, hybi-08 and rfc6455.
# The library makes the requests and the frames and reads both; this file moves the bytes and judges.
use strict;
use warnings;

use Digest::SHA qw(sha1_base64);
use Encode qw(decode encode);
use IO::Select;
use IO::Socket::INET;
use Protocol::WebSocket;
use Protocol::WebSocket::Frame;
use Protocol::WebSocket::Handshake::Client;
use Time::HiRes qw(sleep time);

use constant {
    DEADLINE => 10,    # seconds a case may wait
    GUID     => '258EAFA5-E914-47DA-95CA-C5AB0DC85B11',
};

# Our name, the library's name, and what the handshake calls the version.
# hybi-07 is hybi-08 with another number: the library has no name for it.
my @VERSIONS = (
    { name => 'draft75', library => 'draft-hixie-75' },
    { name => 'draft76', library => 'draft-ietf-hybi-00' },
    { name => 'hybi-07', library => 'draft-ietf-hybi-10', number => 7 },
    { name => 'hybi-08', library => 'draft-ietf-hybi-10', number => 8 },
    { name => 'rfc6455', library => 'draft-ietf-hybi-17', number => 13 },
);

my ($echo, $limited) = @ENV{qw(ECHO LIMITED)};
my $cases = 0;
$| = 1;
$SIG{PIPE} = 'IGNORE';

print "library Perl Protocol::WebSocket $Protocol::WebSocket::VERSION\n";
for my $version (@VERSIONS) {
    handshakes($version);
    echoes($version);
    refusals($version);
    $version->{number} ? hybi_frames($version) : sentinel_frames($version);
    closes($version);
}
print "done $cases\n";

# --- the cases ---

sub handshakes {
    my ($version) = @_;
    test($version, 'the answer is the one the version asks for', sub {
        my $link = join_echo($version);
        check_answer($version, $link);
    });
    test($version, 'the subprotocol asked for is the one agreed', sub {
        my $link = join_echo($version, subprotocol => 'chat');
        is($link->{handshake}->res->subprotocol, 'chat', 'the subprotocol');
    });
    test($version, 'no subprotocol when none was asked for', sub {
        my $link = join_echo($version);
        is($link->{handshake}->res->subprotocol // 'none', 'none', 'the subprotocol');
    });
    test($version, 'a request that comes byte by byte', sub {
        my $link = join_echo($version, drip => 1);
        say_text($link, 'slow');
        is(hear($link), 'slow', 'the echo');
    });
}

sub echoes {
    my ($version) = @_;
    for my $size (0, 1, 125, 126, 127, 65_535, 65_536, 1_048_576) {
        test($version, "text of $size bytes", sub {
            my $link = join_echo($version);
            my $text = 'x' x $size;
            say_text($link, $text);
            hear($link) eq $text or die "another text came back\n";
        });
    }
    test($version, 'text in UTF-8, with U+0000', sub {
        my $link = join_echo($version);
        my $text = decode('UTF-8', "a \xc3\xa9 \xe4\xb8\x96 \xf0\x9f\x91\x8b \x00 z");
        say_text($link, $text);
        is(encode('UTF-8', hear($link)), encode('UTF-8', $text), 'the echo');
    });
    test($version, '500 texts in one write, in order', sub {
        my $link = join_echo($version);
        put($link, join '', map { frame($link, buffer => "text $_")->to_bytes } 1 .. 500);
        is(hear($link), "text $_", 'the echo') for 1 .. 500;
    });
    test($version, 'a frame that comes byte by byte', sub {
        my $link = join_echo($version);
        drip($link, frame($link, buffer => 'drop by drop')->to_bytes);
        is(hear($link), 'drop by drop', 'the echo');
    });
}

sub refusals {
    my ($version) = @_;
    test($version, 'a wrong Origin gets 403', sub {
        is(refused($version, $echo, 'http://evil.example')->{status}, 403, 'the status');
    });
    return if $version->{name} eq 'rfc6455';
    test($version, 'a server of rfc6455 alone answers 426 and says so', sub {
        my $answer = refused($version, $limited, 'http://friend.example');
        is($answer->{status}, 426, 'the status');
        is($answer->{head} =~ /^Sec-WebSocket-Version:\s*(\S+)\s*$/mi ? $1 : 'none', 13, 'Sec-WebSocket-Version');
    });
}

sub hybi_frames {
    my ($version) = @_;
    test($version, 'binary comes back as binary', sub {
        my $link = join_echo($version);
        my $bytes = pack 'C*', 0 .. 255;
        put($link, frame($link, type => 'binary', buffer => $bytes)->to_bytes);
        is(unpack('H*', hear_bytes($link)), unpack('H*', $bytes), 'the echo');
        $link->{frames}->is_binary or die "it came back as text\n";
    });
    test($version, 'a ping is answered with its payload', sub {
        my $link = join_echo($version);
        put($link, frame($link, type => 'ping', buffer => 'are you there?')->to_bytes);
        is(hear($link), 'are you there?', 'the pong');
        $link->{frames}->is_pong or die "it is no pong\n";
    });
    test($version, 'fragments with a ping among them', sub {
        my $link = join_echo($version);
        put($link, frame($link, buffer => 'first ', fin => 0)->to_bytes);
        put($link, frame($link, type => 'ping', buffer => 'between')->to_bytes);
        put($link, frame($link, type => 'continuation', buffer => 'last', fin => 1)->to_bytes);
        is(hear($link), 'between', 'the pong');
        is(hear($link), 'first last', 'the echo');
    });
    test($version, 'a text that is not UTF-8 is closed with 1007', sub {
        my $link = join_echo($version);
        put($link, frame($link, buffer => "\xc3\x28")->to_bytes);
        is(close_code($link), 1007, 'the close code');
    });
    test($version, 'a frame without mask is closed with 1002', sub {
        my $link = join_echo($version);
        put($link, frame($link, buffer => 'plain', masked => 0)->to_bytes);
        is(close_code($link), 1002, 'the close code');
    });
}

sub sentinel_frames {
    my ($version) = @_;
    test($version, 'frame types other than text are skipped, or end the connection', sub {
        my $link = join_echo($version);
        put($link, "\x01not text\xff" . "\x80\x81\x00" . "\x00" x 128);
        say_text($link, 'after them');
        my $answer = hear_or_end($link);
        is($answer, 'after them', 'the echo') if defined $answer;
    });
    test($version, 'a length without end is not waited for', sub {
        my $link = join_echo($version);
        put($link, "\x80" x 4096);
        closing($link) if $version->{name} eq 'draft76';
        at_end($link);
    });
}

sub closes {
    my ($version) = @_;
    test($version, 'the client closes, the server answers and ends the stream', sub {
        my $link = join_echo($version);
        say_text($link, 'last words');
        close_as_client($version, $link, 1000);
        is(hear($link), 'last words', 'the echo');
        if    ($version->{number})             { is(close_code($link), 1000, 'the close code') }
        elsif ($version->{name} eq 'draft76') { closing($link) }
        at_end($link);
    });
    test($version, 'the server closes in the words of the version', sub {
        my $link = join_echo($version);
        say_text($link, 'close, please');
        if    ($version->{number})             { is(close_code($link), 1000, 'the close code') }
        elsif ($version->{name} eq 'draft76') { closing($link) }
        close_as_client($version, $link, 1000) if $version->{name} ne 'draft75';
        at_end($link);
    });
    return if $version->{name} ne 'draft76';
    test($version, 'the server ends the stream though FF 00 is never answered', sub {
        my $link = join_echo($version);
        say_text($link, 'close, please');
        closing($link);
        at_end($link);
    });
}

# --- a connection ---

sub join_echo {
    my ($version, %options) = @_;
    my $link = connect_to($version, $echo, %options);
    my $handshake = $link->{handshake};
    until ($handshake->is_done) {
        $link->{answer} .= $link->{input};
        $handshake->parse($link->{input}) or die 'the library refuses the answer: ' . $handshake->error . "\n";
        # What the library has not used up stays in the input, as the first frames.
        last if $handshake->is_done;
        more($link) or die "the server ended the handshake: $link->{answer}\n";
    }
    return $link;
}

sub refused {
    my ($version, $host, $origin) = @_;
    my $link = connect_to($version, $host, origin => $origin);
    until ($link->{input} =~ /\r\n\r\n/) { more($link) or last }
    my ($head) = $link->{input} =~ /^(.*?\r\n)\r\n/s or die "no answer, only: $link->{input}\n";
    my ($status) = $head =~ m{^HTTP/1\.1 (\d{3}) } or die "no status in: $head\n";
    return { head => $head, status => $status };
}

sub connect_to {
    my ($version, $host, %options) = @_;
    my $handshake = Protocol::WebSocket::Handshake::Client->new(url => "ws://$host/echo", version => $version->{library});
    my $socket = IO::Socket::INET->new(PeerAddr => $host, Proto => 'tcp', Timeout => DEADLINE) or die "no connection to $host: $@\n";
    my $link = {
        answer    => '',
        ends_at   => time + DEADLINE,
        frames    => Protocol::WebSocket::Frame->new(version => $version->{library}, max_payload_size => 0),
        handshake => $handshake,
        host      => $host,
        input     => '',
        library   => $version->{library},
        socket    => $socket,
    };
    $handshake->req->origin($options{origin} // "http://$host");
    $handshake->req->subprotocol($options{subprotocol}) if $options{subprotocol};
    if ($version->{number}) {
        $link->{key} = 'dGhlIHNhbXBsZSBub25jZQ==';
        $handshake->req->key($link->{key});
    }
    my $request = $handshake->to_string;
    $request =~ s/^(Sec-WebSocket-Version: )8\r$/$1 . $version->{number} . "\r"/me if $version->{number};
    $options{drip} ? drip($link, $request) : put($link, $request);
    return $link;
}

sub check_answer {
    my ($version, $link) = @_;
    my ($head) = $link->{answer} =~ /^(.*?\r\n)\r\n/s;
    my @lines = split /\r\n/, $head;
    my $first = shift @lines;
    my ($origin, $location) = ("http://$link->{host}", "ws://$link->{host}/echo");
    if ($version->{name} eq 'draft75') {
        is($first, 'HTTP/1.1 101 Web Socket Protocol Handshake', 'the first line');
        is(join('|', @lines), "Upgrade: WebSocket|Connection: Upgrade|WebSocket-Origin: $origin|WebSocket-Location: $location", 'the head');
        return;
    }
    $first =~ m{^HTTP/1\.1 101 } or die "the first line is $first\n";
    if ($version->{name} eq 'draft76') {
        is(join('|', sort @lines), "Connection: Upgrade|Sec-WebSocket-Location: $location|Sec-WebSocket-Origin: $origin|Upgrade: WebSocket", 'the head');
        return;
    }
    my %fields = map { /^([^:]+):\s*(.*?)\s*$/ ? (lc $1 => $2) : () } @lines;
    is(lc $fields{upgrade},             'websocket',                          'Upgrade');
    is(lc $fields{connection},          'upgrade',                            'Connection');
    is($fields{'sec-websocket-accept'}, sha1_base64($link->{key} . GUID) . '=', 'Sec-WebSocket-Accept');
}

sub frame {
    my ($link, %options) = @_;
    my $fin = delete $options{fin};
    my $frame = Protocol::WebSocket::Frame->new(masked => 1, max_payload_size => 0, version => $link->{library}, %options);
    $frame->fin($fin) if defined $fin;
    return $frame;
}

sub say_text {
    my ($link, $text) = @_;
    put($link, frame($link, buffer => $text)->to_bytes);
}

sub close_as_client {
    my ($version, $link, $code) = @_;
    return shutdown $link->{socket}, 1 if $version->{name} eq 'draft75';
    put($link, frame($link, type => 'close', buffer => $version->{number} ? pack('n', $code) : '')->to_bytes);
}

sub hear {
    return decode('UTF-8', hear_bytes(@_));
}

sub hear_bytes {
    my ($link) = @_;
    return hear_or_end($link) // die "the server ended the stream\n";
}

# The payload of the next frame, or undef at the end of the stream.
sub hear_or_end {
    my ($link) = @_;
    for (;;) {
        $link->{frames}->append($link->{input});
        my $bytes = $link->{frames}->next_bytes;
        return $bytes if defined $bytes;
        more($link) or return;
    }
}

sub close_code {
    my ($link) = @_;
    my $body = hear_bytes($link);
    $link->{frames}->is_close or die "no close frame, but: $body\n";
    return length $body ? unpack('n', $body) : 1005;
}

sub closing {
    my ($link) = @_;
    my $body = hear_bytes($link);
    $link->{frames}->is_close or die "not FF 00, but the text $body\n";
}

sub at_end {
    my ($link) = @_;
    my $rest = hear_or_end($link);
    defined $rest and die 'the stream goes on with ' . unpack('H*', $rest) . "\n";
    $link->{frames}->{buffer} eq '' or die 'bytes are left before the end: ' . unpack('H*', $link->{frames}->{buffer}) . "\n";
}

# --- bytes ---

sub put {
    my ($link, $bytes) = @_;
    while (length $bytes) {
        my $room = IO::Select->new($link->{socket});
        my ($readable, $writable) = IO::Select->select($room, $room, undef, left($link));
        # Reading while writing: an echo server stops reading when nobody takes its answers.
        more($link) if $readable && @$readable && !$link->{ended};
        next if !$writable || !@$writable;
        my $written = syswrite $link->{socket}, $bytes, 16_384;
        return if !defined $written;    # the server is gone; reading tells
        substr $bytes, 0, $written, '';
    }
}

sub drip {
    my ($link, $bytes) = @_;
    for my $byte (split //, $bytes) {
        put($link, $byte);
        sleep 0.001;
    }
}

# Reads what is there; false at the end of the stream.
sub more {
    my ($link) = @_;
    return if $link->{ended};
    IO::Select->new($link->{socket})->can_read(left($link)) or die "nothing came within " . DEADLINE . " s\n";
    my $count = sysread $link->{socket}, $link->{input}, 65_536, length $link->{input};
    $link->{ended} = 1 if !$count;
    return $count;
}

sub left {
    my ($link) = @_;
    my $left = $link->{ends_at} - time;
    $left > 0 or die 'not done within ' . DEADLINE . " s\n";
    return $left;
}

# --- the judge ---

sub test {
    my ($version, $name, $body) = @_;
    $cases++;
    if (eval { $body->(); 1 }) {
        print "ok $version->{name}, $name\n";
    } else {
        my $reason = $@ =~ s/\s+/ /gr;
        print "not ok $version->{name}, $name: $reason\n";
    }
}

sub is {
    my ($found, $expected, $what) = @_;
    $found eq $expected or die "$what is \"$found\", not \"$expected\"\n";
}

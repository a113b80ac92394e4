#!/usr/bin/perl
# Debian's Protocol::WebSocket as the server: draft75, draft76, hybi-07, hybi-08 and rfc6455.
# The library reads the requests and the frames and makes both; this file moves the bytes.
use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use Protocol::WebSocket;
use Protocol::WebSocket::Frame;
use Protocol::WebSocket::Handshake::Server;

# What a path makes of the answer.
my %WRONG = (
    'wrong-accept'     => sub { $_[0] =~ s/^(Sec-WebSocket-Accept: ).*?\r$/$1s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r/m },
    'wrong-protocol'   => sub { $_[0] =~ s/^Sec-WebSocket-Protocol: .*\r\n//m; $_[0] =~ s/\r\n\r\n/\r\nSec-WebSocket-Protocol: not-offered\r\n\r\n/ },
    'wrong-challenge'  => sub { substr($_[0], -1) ^= "\x01" },
    'wrong-origin'     => sub { $_[0] =~ s/^((?:Sec-)?WebSocket-Origin: ).*?\r$/$1http:\/\/other.example\r/m },
    'wrong-location'   => sub { $_[0] =~ s/^((?:Sec-)?WebSocket-Location: ).*?\r$/$1ws:\/\/other.example\/\r/m },
    # What the library says by itself, which mend() puts right elsewhere.
    'wrong-preamble'   => sub { $_[0] =~ s/Web Socket/WebSocket/ },
);
my $last_close = '';
$| = 1;
$SIG{PIPE} = 'IGNORE';

my $listener = IO::Socket::INET->new(Listen => 128, LocalAddr => '127.0.0.1', Proto => 'tcp') or die "cannot listen: $@\n";
my $here = '127.0.0.1:' . $listener->sockport;
print "library Perl Protocol::WebSocket $Protocol::WebSocket::VERSION\n";
print "speaks draft75,draft76,hybi-07,hybi-08,rfc6455\n";
print "cannot deflate\n";
print "variant $_ ws://$here/$_\n" for sort keys %WRONG;
print "listening on $here\n";

my $readable = IO::Select->new($listener);
my %links;
for (;;) {
    for my $socket ($readable->can_read) {
        if ($socket == $listener) {
            my $new = $listener->accept or next;
            $readable->add($new);
            $links{$new} = { socket => $new, handshake => Protocol::WebSocket::Handshake::Server->new, pings => [] };
            next;
        }
        my $link = $links{$socket};
        my $count = sysread $socket, my $bytes, 65_536;
        eval { $count ? arrived($link, $bytes) : leave($link); 1 } or do { warn $@; leave($link) };
    }
}

sub arrived {
    my ($link, $bytes) = @_;
    if (!$link->{frames}) {
        my $handshake = $link->{handshake};
        $handshake->parse($bytes) or return refuse($link, '400 Bad Request');
        return if !$handshake->is_done;
        shake_hands($link) or return;
    }
    $link->{frames}->append($bytes);
    while (defined(my $payload = $link->{frames}->next_bytes)) {
        frame($link, $payload);
        return if $link->{left};
    }
}

sub shake_hands {
    my ($link) = @_;
    my ($request, $response) = ($link->{handshake}->req, $link->{handshake}->res);
    return refuse($link, '403 Forbidden') if ($request->origin // '') eq 'http://evil.example';
    $response->subprotocol('chat') if grep { $_ eq 'chat' } split /, */, $request->subprotocol // '';
    my $answer = mend($request->version, $link->{handshake}->to_string);
    my ($path) = $request->resource_name =~ m{^/(.*)};
    $WRONG{$path}->($answer) if $WRONG{$path};
    put($link, $answer);
    $link->{version} = $request->version;
    $link->{frames} = Protocol::WebSocket::Frame->new(version => $request->version, max_payload_size => 0);
    return 1;
}

# draft75 fixes the first line, and has "Web Socket" in two words; the library has the line of draft76.
sub mend {
    my ($version, $answer) = @_;
    $answer =~ s/^HTTP\S+ 101 \KWebSocket/Web Socket/ if $version eq 'draft-hixie-75';
    return $answer;
}

sub refuse {
    my ($link, $status) = @_;
    put($link, "HTTP/1.1 $status\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    leave($link);
    return;
}

sub frame {
    my ($link, $payload) = @_;
    my $frames = $link->{frames};
    if ($frames->is_close) {
        my ($code, $reason) = length $payload ? unpack 'n a*', $payload : (1005, '');
        $last_close = "closed $code $reason";
        reply($link, $payload, type => 'close') if !$link->{closing};
        return leave($link);
    }
    if ($frames->is_ping) {
        push @{$link->{pings}}, $payload;
        return reply($link, $payload, type => 'pong');
    }
    if ($frames->is_pong) {
        reply($link, "pong $payload") if delete $link->{asked}{$payload};
        return;
    }
    return reply($link, $payload, type => 'binary') if $frames->is_binary;
    my ($command, $rest) = $payload =~ /^!(\S+) ?(.*)$/s or return reply($link, $payload);
    if ($command eq 'header') {
        return reply($link, 'header ' . ($link->{handshake}->req->field($rest) // ''));
    }
    return reply($link, $last_close) if $command eq 'last-close';
    if ($command eq 'ping') {
        $link->{asked}{$rest} = 1;
        return reply($link, $rest, type => 'ping');
    }
    return reply($link, 'pings ' . join ',', @{$link->{pings}}) if $command eq 'pings';
    return in_fragments($link, $rest || 'text') if $command eq 'fragments';
    return bye($link, $rest) if $command eq 'close';
    return reply($link, $payload);
}

sub in_fragments {
    my ($link, $type) = @_;
    my $whole = "one \xe4\xb8\x96\xe7\x95\x8c text";
    my @parts = (substr($whole, 0, 5), substr($whole, 5, 4), substr($whole, 9));
    for my $index (0 .. 2) {
        reply($link, $parts[$index], type => $index ? 'continuation' : $type, fin => $index == 2 ? 1 : 0);
    }
}

sub bye {
    my ($link, $words) = @_;
    return leave($link) if $link->{version} eq 'draft-hixie-75';
    my ($code, $reason) = $words =~ /^(\d+) ?(.*)$/s;
    reply($link, $code ? pack('n', $code) . $reason : '', type => 'close');
    $link->{closing} = 1;
}

# Sends a frame, by default one of text.
sub reply {
    my ($link, $payload, %options) = @_;
    my $fin = delete $options{fin};
    my $frame = Protocol::WebSocket::Frame->new(buffer => $payload, version => $link->{version}, max_payload_size => 0, %options);
    $frame->fin($fin) if defined $fin;
    put($link, $frame->to_bytes);
}

sub put {
    my ($link, $bytes) = @_;
    while (length $bytes) {
        my $written = syswrite $link->{socket}, $bytes;
        return if !defined $written;    # the client is gone; reading tells
        substr $bytes, 0, $written, '';
    }
}

sub leave {
    my ($link) = @_;
    $link->{left} = 1;
    $readable->remove($link->{socket});
    delete $links{$link->{socket}};
    close $link->{socket};
}

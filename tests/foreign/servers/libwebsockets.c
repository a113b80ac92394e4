// libwebsockets as the server.

#include <signal.h>

#include "lws.h"

enum { HEADERS = 4, PATIENCE = 500000 /* microseconds, for pongs */ };

static const struct {
	const char *name;
	int token;
} KNOWN[HEADERS] = {
	{ "cookie", WSI_TOKEN_HTTP_COOKIE },
	{ "origin", WSI_TOKEN_ORIGIN },
	{ "sec-websocket-origin", WSI_TOKEN_ORIGIN }, // the two are one to it
	{ "x-check", -1 },
};

struct peer {
	struct queue out;
	struct pieces pieces;
	char headers[HEADERS][256];
	bool waits; // for a pong
	int close; // the code to close with, 0 for none
	char reason[124];
};

static volatile sig_atomic_t stopped;
static char last_close[160];

static void say(struct peer *peer, const char *word, const char *rest)
{
	char text[400];

	snprintf(text, sizeof text, "%s %s", word, rest);
	push(&peer->out, LWS_WRITE_TEXT, text, strlen(text));
}

static void read_header(struct lws *wsi, int at, char *to, int room)
{
	int len = KNOWN[at].token < 0 ? lws_hdr_custom_copy(wsi, to, room, "x-check:", 8)
				      : lws_hdr_copy(wsi, to, room, (enum lws_token_indexes)KNOWN[at].token);

	if (len < 0)
		to[0] = 0;
}

static void fragments(struct peer *peer, int kind)
{
	const char *text = "one 世界 text";

	push(&peer->out, kind | LWS_WRITE_NO_FIN, text, 5);
	push(&peer->out, LWS_WRITE_CONTINUATION | LWS_WRITE_NO_FIN, text + 5, 4);
	push(&peer->out, LWS_WRITE_CONTINUATION, text + 9, strlen(text) - 9);
}

/// Obeys a text that begins with "!"; README.md has the list. Others go back.
static void answer(struct lws *wsi, struct peer *peer, const struct message *message)
{
	const char *text = (const char *)message->bytes, *rest = strchr(text, ' ');
	size_t word = rest == NULL ? message->len : (size_t)(rest - text);

	rest = rest == NULL ? "" : rest + 1;
	if (message->kind != LWS_WRITE_TEXT || text[0] != '!') {
		push(&peer->out, message->kind, message->bytes, message->len);
	} else if (strncmp(text, "!close", word) == 0) {
		char *reason;

		peer->close = (int)strtol(rest, &reason, 10);
		snprintf(peer->reason, sizeof peer->reason, "%s", reason[0] == ' ' ? reason + 1 : reason);
	} else if (strncmp(text, "!fragments", word) == 0) {
		fragments(peer, strcmp(rest, "binary") == 0 ? LWS_WRITE_BINARY : LWS_WRITE_TEXT);
	} else if (strncmp(text, "!header", word) == 0) {
		for (int at = 0; at < HEADERS; at++)
			if (strcmp(rest, KNOWN[at].name) == 0)
				say(peer, "header", peer->headers[at]);
	} else if (strncmp(text, "!last-close", word) == 0) {
		push(&peer->out, LWS_WRITE_TEXT, last_close, strlen(last_close));
	} else {
		push(&peer->out, LWS_WRITE_PING, rest, strlen(rest));
		peer->waits = true;
		lws_set_timer_usecs(wsi, PATIENCE);
	}
}

static int take(struct lws *wsi, struct peer *peer, const void *bytes, size_t len)
{
	struct queue arrived = { 0 };
	struct message *message;

	if (!gather(&peer->pieces, wsi, bytes, len, &arrived))
		return 0;
	message = pop(&arrived);
	answer(wsi, peer, message);
	done_with(message);
	lws_callback_on_writable(wsi);
	return 0;
}

static int refuses(struct lws *wsi)
{
	char origin[256];

	read_header(wsi, 1, origin, sizeof origin);
	if (strcmp(origin, "http://evil.example") != 0)
		return 0;
	lws_return_http_status(wsi, HTTP_STATUS_FORBIDDEN, NULL);
	return 1;
}

static int serve(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct peer *peer = user;

	switch (reason) {
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
		return refuses(wsi);
	case LWS_CALLBACK_ESTABLISHED:
		for (int at = 0; at < HEADERS; at++)
			read_header(wsi, at, peer->headers[at], sizeof peer->headers[at]);
		return 0;
	case LWS_CALLBACK_RECEIVE:
		return take(wsi, peer, in, len);
	case LWS_CALLBACK_RECEIVE_PONG: {
		char payload[126];

		snprintf(payload, sizeof payload, "%.*s", (int)len, (const char *)in);
		say(peer, "pong", payload);
		peer->waits = false;
		lws_callback_on_writable(wsi);
		return 0;
	}
	case LWS_CALLBACK_TIMER:
		return peer->waits ? -1 : 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		if (peer->close != 0) {
			lws_close_reason(wsi, (enum lws_close_status)peer->close, (unsigned char *)peer->reason, strlen(peer->reason));
			return -1;
		}
		return write_next(wsi, &peer->out) ? 0 : -1;
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: {
		const unsigned char *body = in;

		if (len >= 2)
			snprintf(last_close, sizeof last_close, "closed %d %.*s", body[0] << 8 | body[1], (int)len - 2,
				 (const char *)body + 2);
		return 0;
	}
	case LWS_CALLBACK_CLOSED:
		clear(&peer->out);
		free(peer->pieces.bytes);
		peer->pieces = (struct pieces){ 0 };
		return 0;
	default:
		return 0;
	}
}

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

int main(void)
{
	static const struct lws_protocols protocols[] = {
		{ "none", serve, sizeof(struct peer), 65536, 0, NULL, 0 },
		{ "chat", serve, sizeof(struct peer), 65536, 0, NULL, 0 },
		{ NULL, NULL, 0, 0, 0, NULL, 0 },
	};
	static const struct lws_extension extensions[] = {
		{ "permessage-deflate", lws_extension_callback_pm_deflate, "permessage-deflate" },
		{ NULL, NULL, NULL },
	};
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
	};
	struct lws_context *context;
	struct lws_vhost *vhost;

	lws_set_log_level(LLL_ERR, NULL);
	signal(SIGTERM, stop);
	context = need(lws_create_context(&info));
	info.port = 0;
	info.iface = "127.0.0.1";
	info.protocols = protocols;
	info.extensions = extensions;
	vhost = need(lws_create_vhost(context, &info));
	printf("library libwebsockets %s\n", lws_get_library_version());
	puts("speaks hybi-07,hybi-08,rfc6455");
	// It answers pings without a word, and dies of an empty message that it has to compress.
	puts("cannot pings empty-deflate");
	// An empty pong is not told.
	puts("deviates hybi-07, their ping of 0 bytes is answered");
	puts("deviates hybi-08, their ping of 0 bytes is answered");
	puts("deviates rfc6455, their ping of 0 bytes is answered");
	// It begins to read anew when it should begin to write anew.
	puts("deviates rfc6455, compression with server_no_context_takeover");
	// It accepts the offer without a word about this parameter.
	puts("deviates rfc6455, compression with server_max_window_bits=10");
	puts("deviates rfc6455, compression with everything limited");
	printf("listening on 127.0.0.1:%d\n", lws_get_vhost_listen_port(vhost));
	fflush(stdout);
	while (!stopped && lws_service(context, 0) >= 0)
		;
	lws_context_destroy(context);
	return 0;
}

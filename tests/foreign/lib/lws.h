// What the programs with libwebsockets share: messages that wait, and one that arrives in pieces.

#ifndef FOREIGN_LWS_H
#define FOREIGN_LWS_H

#include <libwebsockets.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT (4u << 20) // what servers of ours take at most

/// A message or a control frame.
struct message {
	struct message *next;
	int kind; // of enum lws_write_protocol
	size_t len;
	unsigned char *bytes; // with LWS_PRE bytes in front
};

struct queue {
	struct message *first, *last;
};

static inline void *need(void *memory)
{
	if (memory == NULL) {
		fputs("no memory\n", stderr);
		exit(1);
	}
	return memory;
}

static inline void push(struct queue *queue, int kind, const void *bytes, size_t len)
{
	struct message *message = need(malloc(sizeof *message));
	unsigned char *memory = need(malloc(LWS_PRE + len + 1));

	*message = (struct message){ .kind = kind, .len = len, .bytes = memory + LWS_PRE };
	if (len > 0)
		memcpy(message->bytes, bytes, len);
	message->bytes[len] = 0; // so that it can be read as a string
	if (queue->first == NULL)
		queue->first = message;
	else
		queue->last->next = message;
	queue->last = message;
}

static inline struct message *pop(struct queue *queue)
{
	struct message *message = queue->first;

	if (message != NULL)
		queue->first = message->next;
	return message;
}

static inline void done_with(struct message *message)
{
	free(message->bytes - LWS_PRE);
	free(message);
}

static inline void clear(struct queue *queue)
{
	for (struct message *message; (message = pop(queue)) != NULL;)
		done_with(message);
}

/// Writes what waits longest; answers whether the connection is still good.
static inline int write_next(struct lws *wsi, struct queue *queue)
{
	struct message *message = pop(queue);
	int written;

	if (message == NULL)
		return 1;
	written = lws_write(wsi, message->bytes, message->len, (enum lws_write_protocol)message->kind);
	if (written < (int)message->len)
		lwsl_err("%d of %zu bytes were written\n", written, message->len);
	written = written >= (int)message->len;
	done_with(message);
	if (queue->first != NULL)
		lws_callback_on_writable(wsi);
	return written;
}

struct pieces {
	unsigned char *bytes;
	size_t len, room;
};

/// Adds a piece; hands the message to the queue when it is complete.
static inline int gather(struct pieces *pieces, struct lws *wsi, const void *bytes, size_t len, struct queue *to)
{
	if (lws_is_first_fragment(wsi))
		pieces->len = 0;
	if (pieces->len + len > pieces->room) {
		pieces->room = 2 * (pieces->len + len);
		pieces->bytes = need(realloc(pieces->bytes, pieces->room));
	}
	if (len > 0)
		memcpy(pieces->bytes + pieces->len, bytes, len);
	pieces->len += len;
	if (!lws_is_final_fragment(wsi))
		return 0;
	push(to, lws_frame_is_binary(wsi) ? LWS_WRITE_BINARY : LWS_WRITE_TEXT, pieces->bytes, pieces->len);
	return 1;
}

#endif

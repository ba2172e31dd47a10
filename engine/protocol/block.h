/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks: rows as arrays under one header of field names, the form of all records on the wire and
 * in the outbox:
 *
 *   {"entity":"visit","op":"new","fields":["customer_id","feedback"],
 *    "rows":[[0,"<id>","<id>","text"], …]}
 *
 * Every row begins with a number and the record's id; the number is `seen` in a changeset and the
 * position in a log page. In a log page a header may also have "bucket". The op "own" has no entity
 * and no fields: rows [position, "<changeset id>", seq, bucket].
 */
#ifndef DAYBOOK_PROTOCOL_BLOCK_H
#define DAYBOOK_PROTOCOL_BLOCK_H

#include "engine/protocol/value.h"

enum block_op {
    BLOCK_NEW, /* in a changeset: a record is made; in the log: the whole record, also for a revival
                  or a move into view */
    BLOCK_SET, /* some fields change */
    BLOCK_DELETE, /* fields: none */
    BLOCK_EVICT,  /* log only: the record left the reader's scope; fields: none */
    BLOCK_OWN     /* log only: a marker of the reader's own changeset */
};

/* One field of a row. field -1: a name that this schema does not know (extra), then `name` says
 * which and value is its raw JSON as VALUE_TEXT. */
struct field_value {
    int field;
    const char *name; /* extra only */
    uint32_t name_length;
    struct value value;
};

struct block {
    enum block_op op;
    const struct entity *entity; /* NULL: this schema has no entity of that name (its rows are read
                                    raw), or BLOCK_OWN */
    const char *entity_name;
    uint32_t entity_name_length;
    int64_t bucket; /* 0: none given */
    int column_count;
    struct {
        int field; /* -1: unknown */
        const char *name;
        uint32_t name_length;
    } columns[LIMIT_FIELDS];
};

struct row {
    int64_t number; /* seen, or position */
    struct id id;   /* record, or changeset for BLOCK_OWN */
    int64_t seq;    /* BLOCK_OWN */
    int64_t bucket; /* BLOCK_OWN */
    int value_count;
    struct field_value values[LIMIT_FIELDS];
    const char *raw; /* rows of an unknown entity: the whole row's raw JSON, and only number and id
                        are set */
    size_t raw_length;
};

/* Reader of an array of blocks. */
struct block_reader {
    struct json_reader json;
    struct arena *arena; /* canonical sets and maps; the caller resets it when done with a row */
    struct block block;  /* header under way */
    bool in_rows;
    bool decided; /* rows of the log: of values only the type is checked; false at first */
    bool inner;   /* the array ends before the bytes do: json.next is behind it then; likewise */
    struct refusal refusal; /* set where a value does not fit: the row then is unusable */
};

/* `bytes` is the raw JSON array; it is written to (unescaping in place). */
void dk_block_open(struct block_reader *reader, char *bytes, size_t length, struct arena *arena);
/* The next row, entering the next block where one is used up: 1 a row, 0 end, -1 damaged
 * (reader->json.problem), -2 refused (reader->refusal; the row is behind us). *new_block is set
 * true where the row is the first of its block. */
int dk_block_next(struct block_reader *reader, struct row *row, bool *new_block);

/* Writer: opens, continues and closes blocks as headers change. Text is appended to `out`. */
struct block_writer {
    struct buffer *out;
    char header[8192]; /* of the block under way, without rows */
    size_t header_length;
    bool any_block, any_row;
};

void dk_block_begin(struct block_writer *writer, struct buffer *out); /* appends "[" */
/* Starts a row under this header text ({"entity":…,"fields":[…]} without the closing brace): a new
 * block unless it equals the present one. Afterwards the caller appends the row, "[…]". */
void dk_block_row(struct block_writer *writer, const char *header, size_t header_length);
void dk_block_end(struct block_writer *writer); /* closes the block and the array */
/* The header text for these columns. Unknown names come behind known ones. bucket 0: left out. */
void dk_block_header(struct buffer *out, enum block_op op, const struct entity *entity,
                     int64_t bucket, const struct field_value *values, int count);
/* The row's tail: ,"<id>",v1,v2…] — the caller has written "[" and the number before (so that a
 * stored tail serves every reader). */
void dk_block_row_tail(struct buffer *out, const struct entity *entity, const struct id *id,
                       const struct field_value *values, int count);

#endif

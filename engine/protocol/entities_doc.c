/* SPDX-License-Identifier: Apache-2.0
 *
 * The program daybook-entities: prints the reference documentation of all entities as Markdown, out
 * of the entity table. PROTOCOL.md holds its output; a test compares. It owns nothing and reads
 * nothing.
 */
#include "engine/base/buffer.h"
#include "engine/protocol/entities.h"

#include <stdio.h>

#define DOCUMENT_MAX ((size_t)4 * 1024 * 1024) /* bytes */

/* The word of a field's type. */
static const char *type_name(enum field_type type)
{
    switch (type) {
    case FIELD_TEXT: return "TEXT";
    case FIELD_CHOICE: return "CHOICE";
    case FIELD_CURRENCY: return "CURRENCY";
    case FIELD_INT: return "INT";
    case FIELD_RATE: return "RATE";
    case FIELD_DAY: return "DAY";
    case FIELD_E7: return "E7";
    case FIELD_BOOL: return "BOOL";
    case FIELD_MONEY: return "MONEY";
    case FIELD_PRICE: return "PRICE";
    case FIELD_QUANTITY: return "QUANTITY";
    case FIELD_TIME: return "TIME";
    case FIELD_ID: return "ID";
    case FIELD_SET: return "SET";
    case FIELD_MAP: return "MAP";
    }
    return "";
}

/* `name`, in code quotes. */
static void write_name(struct buffer *out, const char *name)
{
    dk_buffer_append_char(out, '`');
    dk_buffer_append_text(out, name);
    dk_buffer_append_char(out, '`');
}

/* The type with what bounds it: length, range, choices or the entity that it names. */
static void write_type(struct buffer *out, const struct field *field)
{
    dk_buffer_append_text(out, type_name(field->type));
    if (field->type == FIELD_CHOICE) {
        for (int i = 0; field->choices[i] != NULL; i++) {
            dk_buffer_append_text(out, i == 0 ? ": " : ", ");
            write_name(out, field->choices[i]);
        }
    } else if (field->target >= 0) {
        dk_buffer_append_text(out, " of ");
        write_name(out, dk_entity(field->target)->name);
    } else if (field->type == FIELD_ID) {
        dk_buffer_append_text(out, " of the entity in ");
        write_name(out, "entity_name");
    } else if (field->limit > 0) {
        dk_buffer_append_text(out, ", at most ");
        dk_buffer_append_int(out, field->limit);
    }
}

/* One row of an entity's table. */
static void write_field(struct buffer *out, const struct field *field)
{
    dk_buffer_append_text(out, "| ");
    write_name(out, field->name);
    dk_buffer_append_text(out, " | ");
    write_type(out, field);
    dk_buffer_append_text(out, " | ");
    dk_buffer_append_text(out, dk_policy_name(field->policy));
    dk_buffer_append_text(out, " | ");
    if (field->group > 0) {
        dk_buffer_append_int(out, field->group);
    }
    dk_buffer_append_text(out, " | ");
    dk_buffer_append_int(out, field->since);
    dk_buffer_append_text(out, " | ");
    dk_buffer_append_text(out, (field->flags & FIELD_REQUIRED) != 0 ? "required" : "");
    dk_buffer_append_text(out, field->flags == (FIELD_REQUIRED | FIELD_PERSONAL) ? ", " : "");
    dk_buffer_append_text(out, (field->flags & FIELD_PERSONAL) != 0 ? "personal" : "");
    dk_buffer_append_text(out, (field->flags & FIELD_PASSING) != 0 ? "passing" : "");
    dk_buffer_append_text(out, " |\n");
}

/* Who writes it, where its bucket comes from, what it belongs to. */
static void write_facts(struct buffer *out, const struct entity *entity)
{
    static const char *const writers[] = {
        [WRITER_DEVICE] = "Written by devices. ",
        [WRITER_SERVER] = "Written by the server only. ",
        [WRITER_BOTH] = "Made by the server; devices change the fields that are not SERVER. "};
    dk_buffer_append_text(out, writers[entity->writer]);
    if (entity->root == ROOT_ORGANISATION) {
        dk_buffer_append_text(out, "Bucket: the organisation.");
    } else if (entity->root == ROOT_TERRITORY) {
        dk_buffer_append_text(out, "Bucket: the territory of `territory_id`.");
    } else {
        dk_buffer_append_text(out, entity->root == ROOT_USER
                                       ? "Bucket: the user named by "
                                       : "Bucket: that of the record named by ");
        write_name(out, entity->fields[entity->root_field].name);
        dk_buffer_append_char(out, '.');
    }
    if (entity->parent_field >= 0) {
        dk_buffer_append_text(out, " Child row of ");
        write_name(out, dk_entity(entity->fields[entity->parent_field].target)->name);
        dk_buffer_append_text(out, " by ");
        write_name(out, entity->fields[entity->parent_field].name);
        dk_buffer_append_char(out, '.');
    }
    if (entity->growth == GROWTH_APPEND) {
        dk_buffer_append_text(out, " Append only.");
    }
    dk_buffer_append_text(out, "\n\n");
}

/* The head of a table of fields. */
static void write_table_head(struct buffer *out)
{
    dk_buffer_append_text(out, "| field | type | policy | group | since | |\n"
                               "|---|---|---|---|---|---|\n");
}

/* The fields that every entity has, then each entity. */
static void write_document(struct buffer *out)
{
    dk_buffer_append_text(out, "### Fields of every entity\n\n");
    write_table_head(out);
    for (int field = 0; field < FIELD_COMMON_COUNT; field++) {
        write_field(out, &dk_entity(0)->fields[field]);
    }
    for (int kind = 0; kind < ENTITY_COUNT; kind++) {
        const struct entity *entity = dk_entity(kind);
        dk_buffer_append_text(out, "\n### ");
        write_name(out, entity->name);
        dk_buffer_append_text(out, "\n\n");
        write_facts(out, entity);
        write_table_head(out);
        for (int field = FIELD_COMMON_COUNT; field < entity->field_count; field++) {
            write_field(out, &entity->fields[field]);
        }
    }
}

/* Exit code 1: no memory, or the output cannot be written. */
int main(void)
{
    struct buffer out;
    dk_buffer_init(&out, DOCUMENT_MAX);
    write_document(&out);
    int failed = out.status != DAYBOOK_OK ||
                 fwrite(out.bytes, 1, out.length, stdout) != out.length || fflush(stdout) != 0;
    dk_buffer_clear(&out);
    return failed;
}

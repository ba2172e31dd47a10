/* SPDX-License-Identifier: Apache-2.0
 *
 * A device on the command line: a real engine that does what the lines on its standard input say.
 * The quickstart runs several of them as separate processes; it is also the quickest way to look
 * into a store.
 *
 *   device STORE [URL CA_FILE] < script
 *
 *   enrol CODE                        sign in
 *   begin, commit                     one transaction; a write outside is a transaction of its own
 *   put ENTITY {json}                 make a record; its id is then in $last
 *   patch ENTITY ID [@VERSION] {json} change fields; without @VERSION: as the store shows them now
 *   delete ENTITY ID
 *   let NAME SELECT ...               the first column of the first row, later written as $NAME
 *   sql SELECT ...                    prints rows as a table of texts
 *   sync, status, echo TEXT
 *   verify                            the next sync compares what every record says
 *   reopen ITEM ENTITY ID {json}      stage an inbox item again, mend one of its records, commit
 *   keep ITEM, discard ITEM           write what lost once more; drop what was rejected
 *   clear HOLD [NOTE]                 let go what a hold holds up
 */
#include <daybook/daybook.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 16384
#define NAMES_MAX 64

struct name {
    char name[32];
    char value[256];
};

struct session {
    daybook *engine;
    daybook_transaction *transaction; /* between begin and commit, else NULL */
    struct name names[NAMES_MAX];
    int name_count;
    daybook_error error;
};

static daybook_status set_name(struct session *session, const char *name, const char *value)
{
    int i = 0;
    while (i < session->name_count && strcmp(session->names[i].name, name) != 0)
        i++;
    if (i == NAMES_MAX)
        return DAYBOOK_TOO_LARGE;
    if (i == session->name_count)
        session->name_count++;
    snprintf(session->names[i].name, sizeof session->names[i].name, "%s", name);
    snprintf(session->names[i].value, sizeof session->names[i].value, "%s", value);
    return DAYBOOK_OK;
}

/* The line with each $NAME replaced; false where a name is unknown or the result too long. */
static bool expand(const struct session *session, const char *line, char *out, size_t size)
{
    size_t length = 0;
    while (*line != '\0') {
        const char *piece = line;
        size_t piece_length = 1;
        if (*line == '$') {
            size_t name_length = strspn(line + 1, "abcdefghijklmnopqrstuvwxyz_0123456789");
            piece = NULL;
            for (int i = 0; i < session->name_count; i++)
                if (strlen(session->names[i].name) == name_length &&
                    strncmp(session->names[i].name, line + 1, name_length) == 0)
                    piece = session->names[i].value;
            if (!piece)
                return false;
            piece_length = strlen(piece);
            line += name_length;
        }
        if (length + piece_length >= size)
            return false;
        memcpy(out + length, piece, piece_length);
        length += piece_length;
        line++;
    }
    out[length] = '\0';
    return true;
}

/* Cuts the next word off *rest; "" at the end. */
static char *next_word(char **rest)
{
    char *word = *rest + strspn(*rest, " ");
    size_t length = strcspn(word, " ");
    *rest = word + length + (word[length] == ' ');
    word[length] = '\0';
    return word;
}

static daybook_status run_sql(struct session *session, const char *sql, const char *name)
{
    daybook_query *query = NULL;
    bool row = false;
    daybook_status status = daybook_query_open(session->engine, sql, &query, &session->error);
    while (!status && !(status = daybook_step(query, &row)) && row) {
        if (name) {
            const char *value = daybook_column_text(query, 0);
            status = set_name(session, name, value ? value : "");
            break;
        }
        for (int column = 0; column < daybook_column_count(query); column++) {
            const char *value = daybook_column_text(query, column);
            printf("%s%s", column ? " | " : "    ", value ? value : "-");
        }
        printf("\n");
    }
    if (!status && name && !row)
        status = DAYBOOK_NOT_FOUND;
    daybook_query_close(&query);
    return status;
}

/* The version that the store shows now, for a patch or delete that names none. */
static daybook_status shown_version(struct session *session, const char *entity, const char *id,
                                    int64_t *version)
{
    daybook_record *record = NULL;
    daybook_status status = daybook_read(session->transaction, entity, id, &record);
    if (!status)
        *version = daybook_record_version(record);
    return status;
}

static daybook_status write_record(struct session *session, const char *verb, char *rest)
{
    char id_made[DAYBOOK_ID_SIZE] = "";
    const char *entity = next_word(&rest);
    const char *id = strcmp(verb, "put") == 0 ? NULL : next_word(&rest);
    bool own = session->transaction == NULL;
    int64_t version = 0;
    daybook_status status =
        own ? daybook_begin(session->engine, &session->transaction) : DAYBOOK_OK;
    if (!status && id && *rest == '@')
        version = strtoll(next_word(&rest) + 1, NULL, 10);
    else if (!status && id)
        status = shown_version(session, entity, id, &version);
    if (!status && !id)
        status = daybook_put_json(session->transaction, entity, NULL, DAYBOOK_NEW, rest, id_made,
                                  &session->error);
    else if (!status && strcmp(verb, "patch") == 0)
        status =
            daybook_patch_json(session->transaction, entity, id, version, rest, &session->error);
    else if (!status)
        status = daybook_delete(session->transaction, entity, id, version);
    if (!status && !id)
        status = set_name(session, "last", id_made);
    if (!status && own)
        status = daybook_commit(session->transaction, &session->error);
    if (own)
        daybook_end(&session->transaction);
    return status;
}

static daybook_status reopen(struct session *session, char *rest)
{
    int64_t item = strtoll(next_word(&rest), NULL, 10);
    const char *entity = next_word(&rest);
    const char *id = next_word(&rest);
    daybook_transaction *transaction = NULL;
    daybook_status status =
        daybook_inbox_reopen(session->engine, item, &transaction, &session->error);
    if (!status)
        status =
            daybook_patch_json(transaction, entity, id, DAYBOOK_ANY_VERSION, rest, &session->error);
    if (!status)
        status = daybook_commit(transaction, &session->error);
    daybook_end(&transaction);
    return status;
}

static daybook_status print_status(struct session *session)
{
    daybook_sync_status badge = DAYBOOK_SYNC_STATUS_INIT;
    daybook_status status = daybook_get_status(session->engine, &badge);
    if (!status)
        printf("    pending %" PRId64 ", unsettled %" PRId64 ", inbox %" PRId64
               ", position %" PRId64 ", %s\n",
               badge.pending, badge.unsettled, badge.inbox, badge.position,
               daybook_status_name(badge.blocked));
    return status;
}

static daybook_status run_line(struct session *session, char *line)
{
    char *rest = line;
    const char *verb = next_word(&rest);
    if (*verb == '\0' || *verb == '#')
        return DAYBOOK_OK;
    if (strcmp(verb, "enrol") == 0)
        return daybook_enrol(session->engine, rest, "quickstart", &session->error);
    if (strcmp(verb, "sync") == 0)
        return daybook_sync(session->engine, 0, &session->error);
    if (strcmp(verb, "verify") == 0)
        return daybook_verify(session->engine);
    if (strcmp(verb, "status") == 0)
        return print_status(session);
    if (strcmp(verb, "sql") == 0)
        return run_sql(session, rest, NULL);
    if (strcmp(verb, "let") == 0) {
        const char *name = next_word(&rest);
        return run_sql(session, rest, name);
    }
    if (strcmp(verb, "echo") == 0) {
        printf("%s\n", rest);
        return DAYBOOK_OK;
    }
    if (strcmp(verb, "begin") == 0)
        return daybook_begin(session->engine, &session->transaction);
    if (strcmp(verb, "commit") == 0) {
        daybook_status status = daybook_commit(session->transaction, &session->error);
        daybook_end(&session->transaction);
        return status;
    }
    if (strcmp(verb, "put") == 0 || strcmp(verb, "patch") == 0 || strcmp(verb, "delete") == 0)
        return write_record(session, verb, rest);
    if (strcmp(verb, "reopen") == 0)
        return reopen(session, rest);
    if (strcmp(verb, "keep") == 0)
        return daybook_inbox_keep_mine(session->engine, strtoll(rest, NULL, 10), &session->error);
    if (strcmp(verb, "clear") == 0) {
        const char *hold = next_word(&rest);
        return daybook_clear_hold(session->engine, hold, *rest ? rest : NULL, &session->error);
    }
    if (strcmp(verb, "discard") == 0)
        return daybook_inbox_discard(session->engine, strtoll(rest, NULL, 10));
    fprintf(stderr, "unknown command \"%s\"\n", verb);
    return DAYBOOK_INVALID;
}

/* The next line of the script without its end; one that ends with a backslash goes on in the next.
 * False at the end, or where it is too long. */
static bool read_line(char *line, size_t size)
{
    size_t length = 0;
    while (fgets(line + length, (int)(size - length), stdin)) {
        length += strcspn(line + length, "\n");
        line[length] = '\0';
        if (length == 0 || line[length - 1] != '\\' || length + 2 > size)
            return true;
        length--;
    }
    return false;
}

/* Runs the script to its end or first failure, which is named with its line. */
static daybook_status run_script(struct session *session)
{
    char line[LINE_MAX_BYTES], expanded[LINE_MAX_BYTES];
    daybook_status status = DAYBOOK_OK;
    while (!status && read_line(line, sizeof line)) {
        status = expand(session, line, expanded, sizeof expanded) ? run_line(session, expanded)
                                                                  : DAYBOOK_INVALID;
        if (status)
            fprintf(stderr, "%s\n", line);
    }
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: device STORE [URL CA_FILE] < script\n");
        return 2;
    }
    struct session session = {.error = DAYBOOK_ERROR_INIT};
    daybook_options options = DAYBOOK_OPTIONS_INIT;
    options.path = argv[1];
    options.server_url = argc == 4 ? argv[2] : NULL;
    options.ca_file = argc == 4 ? argv[3] : NULL;
    daybook_status status = daybook_open(&options, &session.engine, &session.error);
    if (!status)
        status = run_script(&session);
    if (status)
        fprintf(stderr, "%s: %s %s %s %s\n", daybook_status_name(status), session.error.text,
                session.error.entity, session.error.field, session.error.rule);
    daybook_end(&session.transaction);
    daybook_close(&session.engine);
    return status ? 1 : 0;
}

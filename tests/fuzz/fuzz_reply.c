/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as what a server, or whoever says it is one, answers a real engine. The first byte says
 * what the engine does; each answer is a byte for its status and form, two for its length, and its
 * body. Whatever comes, the store keeps its invariants, and it opens again.
 */
#include "tests/fuzz/fuzz.h"

#include "engine/api/engine.h"
#include "tests/fuzz/template.h"

#include <assert.h>

enum { ANSWER_RAW = 8, ANSWER_HTML = 16, ANSWER_LATER = 32 };

/* The transport: what of the input was not answered yet, and the answer under way. */
struct source {
    struct input input;
    struct frame_codec *codec;
    struct buffer body;
};

static daybook_status exchange(void *context, void *connection,
                               const struct daybook_request *request, struct daybook_reply *reply)
{
    static const int statuses[8] = {200, 200, 200, 401, 409, 426, 503, 500};
    struct source *source = context;
    (void)connection;
    assert(request->body_size <= LIMIT_REQUEST_BYTES);
    if (source->input.size == 0) {
        return DAYBOOK_OFFLINE;
    }
    unsigned form = input_byte(&source->input);
    size_t size = input_short(&source->input);
    size = size < source->input.size ? size : source->input.size;
    dk_buffer_reset(&source->body);
    if ((form & ANSWER_RAW) != 0) {
        dk_buffer_append(&source->body, source->input.bytes, size);
    } else {
        assert(dk_frame_compress(source->codec, source->input.bytes, size, 1, &source->body) ==
               DAYBOOK_OK);
    }
    source->input.bytes += size;
    source->input.size -= size;
    reply->http_status = statuses[form & 7];
    reply->content_type = (form & ANSWER_HTML) != 0   ? "text/html"
                          : reply->http_status != 200 ? "application/json"
                                                      : "application/vnd.daybook+zstd";
    reply->retry_after_ms = (form & ANSWER_LATER) != 0 ? 1000 * (int64_t)form : -1;
    reply->body = source->body.bytes;
    reply->body_size = source->body.length;
    return DAYBOOK_OK;
}

/* What is asked of the server. */
static void ask(daybook *engine, unsigned choice)
{
    switch (choice % 4) {
    case 0: (void)daybook_sync(engine, 0, NULL); break;
    case 1: (void)daybook_enrol(engine, "K7QF-2M9D-XWTR", "phone", NULL); break;
    case 2: (void)daybook_fetch(engine, "visit", TEMPLATE_VISIT, NULL); break;
    default: (void)daybook_verify(engine); (void)daybook_sync(engine, 0, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct template *template;
    static struct source source;
    char problem[300] = "";
    if (template == NULL) {
        template = template_make();
        source.codec = dk_frame_new();
        dk_buffer_init(&source.body, LIMIT_REPLY_BYTES);
    }
    source.input = (struct input){bytes, size};
    unsigned choice = input_byte(&source.input);
    bool enrolled = choice % 4 != 1;
    template_reset(template, exchange, &source);
    template_write(template, enrolled);
    daybook *engine = NULL;
    assert(daybook_open(&template->options, &engine, NULL) == DAYBOOK_OK);
    ask(engine, choice);
    if (!dk_store_check(engine->store, problem, sizeof problem)) {
        (void)fprintf(stderr, "the store is broken: %s\n", problem);
        abort();
    }
    daybook_close(&engine);
    if (choice >= 128) { /* not always: opening takes most of the time */
        assert(daybook_open(&template->options, &engine, NULL) == DAYBOOK_OK);
        daybook_close(&engine);
    }
    return 0;
}

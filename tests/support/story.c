/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads stories: cuts a page into its story blocks and each sentence into words, finds the form
 * that it has and fills a step with what the form's places hold. Called by tests. Invariant: a step
 * names only people, entities, fields and bound names that exist, and every story states something.
 */
#include "tests/support/story.h"

#include "engine/base/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 80
#define FENCE "```story"

const struct story_role story_people[STORY_PEOPLE] = {
    {"wang", "rep", "East", -1},     {"li", "rep", "East", -1},
    {"tablet", "rep", "East", 0},    {"tom", "rep", "South", -1},
    {"chen", "manager", "East", -1}, {"office", "back_office", NULL, -1},
};

struct form {
    enum story_kind kind;
    bool states;
    const char *pattern;
};
#define FORM(kind, states, pattern) {STORY_##kind, states, pattern},
static const struct form forms[] = {STORY_FORMS(FORM)};
#undef FORM

/* A sentence, cut into words. Signs (: and ,) and 's are words of their own. */
struct word {
    const char *text;
    size_t length;
};
struct sentence {
    struct word words[WORDS_MAX];
    int count;
};

/* One attempt to read a sentence in a form. */
struct reading {
    struct story *story;
    struct story_step step;
    const struct sentence *sentence;
    int at;                     /* the next word */
    bool binds;                 /* a NEW was read */
    struct word bind;           /* the name that it binds */
    const struct entity *named; /* entity of the NAME read last, for its fields */
    char why[200];              /* why the word at `at` does not fit, where that is known */
};

/* ---- words */

static bool word_is(struct word word, const char *text)
{
    return dk_text_equal(word.text, word.length, text);
}

static bool is_sign(char c)
{
    return c == ',' || c == ':';
}

/* Where the word that begins here ends. Quoted text and lists are one word each. */
static const char *word_end(const char *from, const char *end)
{
    char stop = *from == '"' ? '"' : *from == '[' ? ']' : '\0';
    const char *at = from + 1;
    if (stop != '\0') {
        while (at < end && *at != stop) {
            at++;
        }
        return at < end ? at + 1 : NULL;
    }
    if (is_sign(*from)) {
        return at;
    }
    /* A colon between digits is a time of day. */
    while (at < end && *at != ' ' && *at != ',' &&
           (*at != ':' ||
            (isdigit((unsigned char)at[-1]) && at + 1 < end && isdigit((unsigned char)at[1])))) {
        if (*at == '\'' && at > from) {
            return at;
        }
        at++;
    }
    return at;
}

/* False where a quote is not closed, or there are too many words. */
static bool cut_sentence(const char *from, const char *end, struct sentence *out)
{
    out->count = 0;
    for (;;) {
        while (from < end && *from == ' ') {
            from++;
        }
        if (from == end) {
            return true;
        }
        const char *to = word_end(from, end);
        if (to == NULL || out->count == WORDS_MAX) {
            return false;
        }
        out->words[out->count++] = (struct word){from, (size_t)(to - from)};
        from = to;
    }
}

/* ---- the places of a form */

static bool is_at_end(const struct reading *reading)
{
    return reading->at >= reading->sentence->count;
}

static struct word current(const struct reading *reading)
{
    return is_at_end(reading) ? (struct word){"", 0} : reading->sentence->words[reading->at];
}

/* Says why the current word does not fit. Always false. */
static bool no(struct reading *reading, const char *why)
{
    struct word word = current(reading);
    (void)snprintf(reading->why, sizeof reading->why, "\"%.*s\" is %s", (int)word.length, word.text,
                   why);
    return false;
}

/* The number of the name, or -1. */
static int find_name(const struct story *story, struct word word)
{
    for (int i = 0; i < story->name_count; i++) {
        if (word_is(word, story->names[i].name)) {
            return i;
        }
    }
    return -1;
}

static bool read_person(struct reading *reading)
{
    int person = find_name(reading->story, current(reading));
    if (person < 0 || person >= STORY_PEOPLE) {
        return no(reading, "nobody of the stories");
    }
    if (reading->step.who_count == STORY_WHO_MAX) {
        return no(reading, "one too many");
    }
    reading->step.who[reading->step.who_count++] = person;
    reading->story->people[person] = true;
    reading->at++;
    return true;
}

/* wang | wang and li | wang, li and tom | everybody. Everybody is none: the story knows later. */
static bool read_who(struct reading *reading)
{
    if (word_is(current(reading), "everybody")) {
        reading->at++;
        return true;
    }
    for (;;) {
        if (!read_person(reading)) {
            return false;
        }
        bool more = word_is(current(reading), "and");
        if (word_is(current(reading), ",") && reading->at + 1 < reading->sentence->count) {
            int next = find_name(reading->story, reading->sentence->words[reading->at + 1]);
            more = next >= 0 && next < STORY_PEOPLE;
        }
        if (!more) {
            return true;
        }
        reading->at++;
    }
}

static bool read_entity(struct reading *reading)
{
    struct word word = current(reading);
    reading->step.entity = dk_entity_by_name(word.text, word.length);
    reading->named = reading->step.entity;
    if (reading->step.entity == NULL) {
        return no(reading, "no entity");
    }
    reading->at++;
    return true;
}

/* A name is bound when the whole sentence has been read. */
static bool read_new(struct reading *reading)
{
    struct word word = current(reading);
    if (word.length == 0 || !isupper((unsigned char)word.text[0]) || word.length > 30) {
        return no(reading, "no name: names begin with a capital");
    }
    if (find_name(reading->story, word) >= 0) {
        return no(reading, "a name already");
    }
    reading->binds = true;
    reading->bind = word;
    reading->at++;
    return true;
}

static bool read_name(struct reading *reading, bool gives_fields)
{
    int name = find_name(reading->story, current(reading));
    if (name < 0) {
        return no(reading, "no name that the story knows");
    }
    if (gives_fields) {
        reading->named = reading->story->names[name].entity;
    }
    if (name < STORY_PEOPLE) {
        reading->story->people[name] = true;
    }
    reading->step.names[reading->step.name_count++] = name;
    reading->at++;
    return true;
}

/* `any_word` also allows words that are neither names nor known. */
static bool read_value(struct reading *reading, struct story_value *value, bool any_word)
{
    static const char *const words[] = {"true", "false", "nothing", "tea", "cookies", NULL};
    struct word word = current(reading);
    char first = word.length == 0 ? ' ' : word.text[0];
    bool quoted = first == '"';
    bool known = any_word && !is_sign(first) && first != ' ';
    for (int i = 0; words[i] != NULL; i++) {
        known = known || word_is(word, words[i]);
    }
    value->kind = quoted                                          ? VALUE_IS_TEXT
                  : first == '['                                  ? VALUE_IS_LIST
                  : isdigit((unsigned char)first) || first == '-' ? VALUE_IS_NUMBER
                                                                  : VALUE_IS_WORD;
    if (value->kind == VALUE_IS_WORD && !known && find_name(reading->story, word) < 0) {
        return no(reading, "no value: neither \"text\", number, [list] nor a name");
    }
    (void)snprintf(value->text, sizeof value->text, "%.*s", (int)(word.length - 2 * quoted),
                   word.text + quoted);
    reading->at++;
    return true;
}

/* A field of the entity that was named last; a column of a view may have any name. */
static bool read_field_name(struct reading *reading, struct story_field *field, bool is_column)
{
    struct word word = current(reading);
    bool is_key = word.length > 7 && memcmp(word.text, "custom.", 7) == 0;
    if (is_at_end(reading) || is_sign(word.text[0]) || word.length >= sizeof field->name) {
        return no(reading, "no field");
    }
    if (!is_column && !is_key &&
        (reading->named == NULL ||
         dk_entity_field(reading->named, word.text, word.length, 0) < 0)) {
        return no(reading, "no field of this entity");
    }
    (void)snprintf(field->name, sizeof field->name, "%.*s", (int)word.length, word.text);
    reading->at++;
    return true;
}

/* FIELD VALUE, FIELD VALUE … */
static bool read_fields(struct reading *reading, bool are_columns)
{
    struct story_step *step = &reading->step;
    for (;;) {
        if (step->field_count == STORY_FIELDS_MAX) {
            return no(reading, "one too many");
        }
        struct story_field *field = &step->fields[step->field_count++];
        if (!read_field_name(reading, field, are_columns) ||
            !read_value(reading, &field->value, are_columns)) {
            return false;
        }
        if (!word_is(current(reading), ",")) {
            return true;
        }
        reading->at++;
    }
}

static bool read_word(struct reading *reading)
{
    struct word word = current(reading);
    if (is_at_end(reading) || is_sign(word.text[0])) {
        return no(reading, "no word");
    }
    char *out = reading->step.words[reading->step.word_count++];
    (void)snprintf(out, sizeof reading->step.words[0], "%.*s", (int)word.length, word.text);
    reading->at++;
    return true;
}

static bool read_rest(struct reading *reading)
{
    if (is_at_end(reading)) {
        return no(reading, "no rest of a sentence");
    }
    reading->step.rest = current(reading).text;
    reading->at = reading->sentence->count;
    return true;
}

/* A word that stands for itself, or one of several. */
static bool read_literal(struct reading *reading, const char *literal, size_t length)
{
    struct word word = current(reading);
    const char *end = literal + length;
    for (const char *from = literal; from < end;) {
        const char *bar = memchr(from, '|', (size_t)(end - from));
        size_t part = (size_t)((bar == NULL ? end : bar) - from);
        bool same = word.length >= part && memcmp(word.text, from, part) == 0 &&
                    (word.length == part || (word.length == part + 1 && word.text[part] == 's' &&
                                             islower((unsigned char)*from)));
        if (same) {
            reading->at++;
            return true;
        }
        from += part + 1;
    }
    return false;
}

/* One place of a pattern. */
static bool read_place(struct reading *reading, const char *place, size_t length)
{
    struct story_step *step = &reading->step;
    if (dk_text_equal(place, length, "WHO")) {
        return read_who(reading);
    }
    if (dk_text_equal(place, length, "ENTITY")) {
        return read_entity(reading);
    }
    if (dk_text_equal(place, length, "NEW")) {
        return read_new(reading);
    }
    if (dk_text_equal(place, length, "NAME")) {
        return read_name(reading, step->entity == NULL);
    }
    if (dk_text_equal(place, length, "FIELDS") || dk_text_equal(place, length, "COLUMNS")) {
        return read_fields(reading, *place == 'C');
    }
    if (dk_text_equal(place, length, "FIELD")) {
        return read_field_name(reading, &step->fields[step->field_count++], false);
    }
    if (dk_text_equal(place, length, "VALUE")) {
        return read_value(reading, &step->value, false);
    }
    if (dk_text_equal(place, length, "WORD")) {
        return read_word(reading);
    }
    if (dk_text_equal(place, length, "REST")) {
        return read_rest(reading);
    }
    return read_literal(reading, place, length);
}

/* Goes through the pattern place by place. A part that is left out and had a NAME leaves -1. */
static bool read_pattern(struct reading *reading, const char *pattern)
{
    bool skip = false;
    while (*pattern != '\0') {
        size_t length = strcspn(pattern, " ");
        if (*pattern == '?') {
            skip = !read_literal(reading, pattern + 1, length - 1);
        } else if (skip && dk_text_equal(pattern, length, "NAME")) {
            reading->step.names[reading->step.name_count++] = -1;
        } else if (!skip && !read_place(reading, pattern, length)) {
            return false;
        }
        pattern += length + (pattern[length] == ' ');
    }
    return is_at_end(reading);
}

/* ---- stories */

/* Says what is wrong in which line. Always false. */
static bool wrong(char problem[STORY_PROBLEM_SIZE], int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool wrong(char problem[STORY_PROBLEM_SIZE], int line, const char *format, ...)
{
    va_list list;
    int used = snprintf(problem, STORY_PROBLEM_SIZE, "line %d: ", line);
    va_start(list, format);
    (void)vsnprintf(problem + used, (size_t)(STORY_PROBLEM_SIZE - used), format, list);
    va_end(list);
    return false;
}

/* Keeps a step that was read, with the name that it binds. */
static bool keep_step(struct story *story, const struct reading *reading)
{
    if (story->step_count == STORY_STEPS_MAX ||
        (reading->binds && story->name_count == STORY_NAMES_MAX)) {
        return false;
    }
    struct story_step *step = &story->steps[story->step_count++];
    *step = reading->step;
    if (reading->binds) {
        (void)snprintf(story->names[story->name_count].name, sizeof story->names[0].name, "%.*s",
                       (int)reading->bind.length, reading->bind.text);
        story->names[story->name_count++].entity = step->entity;
    }
    return true;
}

/* Reads one sentence in the first form that fits; else says how far the best one went. */
static bool read_sentence(struct story *story, int line, const char *from, const char *end,
                          char problem[STORY_PROBLEM_SIZE])
{
    struct sentence sentence;
    int best = -1;
    char why[200] = "";
    if (!cut_sentence(from, end, &sentence)) {
        return wrong(problem, line, "a quote or bracket is not closed, or the line is too long");
    }
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct reading reading = {.story = story, .sentence = &sentence};
        reading.step.kind = forms[i].kind;
        reading.step.line = line;
        reading.step.source = from;
        if (read_pattern(&reading, forms[i].pattern)) {
            return keep_step(story, &reading) || wrong(problem, line, "the story is too long");
        }
        if (reading.at > best || (reading.at == best && why[0] == '\0')) {
            best = reading.at;
            (void)snprintf(why, sizeof why, "%s", reading.why);
        }
    }
    struct word word = best < sentence.count ? sentence.words[best] : (struct word){"its end", 7};
    return wrong(problem, line, "not understood from \"%.*s\" on%s%s", (int)word.length, word.text,
                 why[0] == '\0' ? "" : ": ", why);
}

static void begin_story(struct story *story, const char *title, size_t title_length, int line)
{
    memset(story, 0, sizeof *story);
    (void)snprintf(story->title, sizeof story->title, "%.*s", (int)title_length, title);
    story->line = line;
    for (int i = 0; i < STORY_PEOPLE; i++) {
        (void)snprintf(story->names[i].name, sizeof story->names[i].name, "%s",
                       story_people[i].name);
        story->names[i].entity = dk_entity(ENTITY_USER);
    }
    story->name_count = STORY_PEOPLE;
}

/* A story states something; everybody is known now. */
static bool end_story(struct story *story, char problem[STORY_PROBLEM_SIZE])
{
    bool states = false;
    for (int i = 0; i < story->step_count; i++) {
        struct story_step *step = &story->steps[i];
        states = states || forms[step->kind].states;
        for (int person = 0; step->who_count < STORY_WHO_MAX && person < STORY_PEOPLE; person++) {
            bool is_everybody = strncmp(step->source, "everybody", 9) == 0;
            if (is_everybody && story->people[person]) {
                step->who[step->who_count++] = person;
            }
        }
    }
    return states || wrong(problem, story->line, "the story states nothing");
}

int story_orders(const struct story *story)
{
    int orders = 1;
    for (int i = 0; i < story->step_count; i++) {
        if (story->steps[i].kind == STORY_ANY_ORDER) {
            for (int n = story->steps[i].who_count; n > 1; n--) {
                orders *= n;
            }
        }
    }
    return orders;
}

/* Room for one more story. */
static struct story *new_story(struct story_page *page)
{
    struct story *more = realloc(page->stories, (size_t)(page->count + 1) * sizeof *page->stories);
    if (more == NULL) {
        return NULL;
    }
    page->stories = more;
    return &page->stories[page->count++];
}

bool story_page_read(struct story_page *page, const char *text, char problem[STORY_PROBLEM_SIZE])
{
    struct story *story = NULL;
    const char *title = "";
    int line = 0;
    for (const char *at = text; *at != '\0';) {
        size_t length = strcspn(at, "\n");
        line++;
        if (story == NULL && *at == '#') {
            title = at + strspn(at, "# ");
        } else if (story == NULL && dk_text_equal(at, length, FENCE)) {
            story = new_story(page);
            if (story == NULL) {
                return wrong(problem, line, "no memory");
            }
            begin_story(story, title, strcspn(title, "\n"), line);
        } else if (story != NULL && dk_text_equal(at, length, "```")) {
            if (!end_story(story, problem)) {
                return false;
            }
            story = NULL;
        } else if (story != NULL && length > 0 &&
                   !read_sentence(story, line, at, at + length, problem)) {
            return false;
        }
        at += length + (at[length] == '\n');
    }
    return story == NULL || wrong(problem, story->line, "the story does not end");
}

bool story_page_load(struct story_page *page, const char *path, char problem[STORY_PROBLEM_SIZE])
{
    FILE *file = fopen(path, "rb");
    long size = -1;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0) {
        size = ftell(file);
        rewind(file);
    }
    page->text = size < 0 ? NULL : malloc((size_t)size + 1);
    bool read = page->text != NULL && fread(page->text, 1, (size_t)size, file) == (size_t)size;
    if (file != NULL) {
        (void)fclose(file);
    }
    if (!read) {
        return wrong(problem, 0, "%s cannot be read", path);
    }
    page->text[size] = '\0';
    return story_page_read(page, page->text, problem);
}

void story_page_clear(struct story_page *page)
{
    free(page->stories);
    free(page->text);
    memset(page, 0, sizeof *page);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * All words of a configuration: every sequence of up to MODEL_EACH operations and syncs of each
 * device, in every interleaving. See model.h.
 */
#include "tests/model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define IDS_EACH 1000000 /* of a configuration */

/* A word as it grows. */
struct growing {
    struct model_words *words;
    struct model_word word;
    int left[2];    /* letters that each may still have */
    bool dirty[2];  /* has something to send */
    bool behind[2]; /* something has been sent that it has not got */
    bool acts;      /* some letter is no sync */
};

static void keep(struct model_words *words, const struct model_word *word)
{
    if (words->count == words->room) {
        words->room = words->room == 0 ? 4096 : words->room * 2;
        words->list = realloc(words->list, words->room * sizeof *words->list);
        assert_non_null(words->list);
    }
    words->list[words->count++] = *word;
}

/* Adds the word as it is, and all that go on from it. */
static void grow(const struct growing *before)
{
    const struct model_word *word = &before->word;
    if (before->acts && word->letters[word->length - 1] != MODEL_LETTER(0, MODEL_SYNC)) {
        keep(before->words, word);
    }
    for (int who = 0; who < 2; who++) {
        const struct model_op *ops = before->word.config->ops[who];
        for (int op = 0; op <= MODEL_SYNC && before->left[who] > 0; op++) {
            struct growing after = *before;
            bool sync = op == MODEL_SYNC;
            if (sync ? !before->dirty[who] && !before->behind[who]
                     : op >= MODEL_ALPHABET || ops[op].verb == MODEL_NONE) {
                continue;
            }
            after.left[who]--;
            after.word.letters[after.word.length++] = MODEL_LETTER(who, op);
            if (sync) {
                after.word.syncs = (uint16_t)(before->word.syncs * 3 + who + 1);
                after.behind[1 - who] = before->behind[1 - who] || before->dirty[who];
                after.dirty[who] = after.behind[who] = false;
            } else {
                after.dirty[who] = after.acts = true;
            }
            grow(&after);
        }
    }
}

void model_words_add(struct model_words *words, const struct model_config *config)
{
    struct growing growing = {
        .words = words, .word = {.config = config}, .left = {MODEL_EACH, MODEL_EACH}};
    size_t first = words->count;
    int number = 0;
    while (model_config_at((size_t)number) != config) {
        number++;
    }
    grow(&growing);
    for (size_t i = first; i < words->count; i++) {
        words->list[i].id = (number + 1) * IDS_EACH + (int)(i - first) + 1;
    }
}

static int compare(const void *left, const void *right)
{
    const struct model_word *a = left;
    const struct model_word *b = right;
    int order = strcmp(a->config->role, b->config->role);
    if (order == 0) {
        order = (a->syncs > b->syncs) - (a->syncs < b->syncs);
    }
    return order != 0 ? order : (a->id > b->id) - (a->id < b->id);
}

void model_words_sort(struct model_words *words)
{
    qsort(words->list, words->count, sizeof *words->list, compare);
}

void model_words_clear(struct model_words *words)
{
    free(words->list);
    *words = (struct model_words){.list = NULL};
}

int model_word_sync(const struct model_word *word, int n)
{
    for (int i = 0; i < word->length; i++) {
        if (MODEL_OP(word->letters[i]) == MODEL_SYNC && n-- == 0) {
            return i;
        }
    }
    return word->length;
}

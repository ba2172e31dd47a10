/* SPDX-License-Identifier: Apache-2.0
 *
 * The customer's norm_name: the name as it is compared when twins are looked for. Called for every
 * write of a customer. Invariant: a pure function of the name, the same on every device, without
 * locale or Unicode tables that could change.
 */
#include "engine/sales/rules.h"

#include <string.h>

/* Legal forms that say nothing about who it is. The longer ones come first, because the shorter are
 * their ends. */
static const char *const cjk_suffixes[] = {"有限责任公司", "股份有限公司", "有限公司", "集团"};
static const char *const latin_suffixes[] = {"co", "ltd", "inc", "llc", "gmbh"};

/* One code point of valid UTF-8; moves *next. */
static uint32_t read_point(const char **next)
{
    const unsigned char *bytes = (const unsigned char *)*next;
    uint32_t point = bytes[0];
    int more = point < 0x80 ? 0 : point < 0xE0 ? 1 : point < 0xF0 ? 2 : 3;
    static const uint8_t masks[] = {0x7F, 0x1F, 0x0F, 0x07};
    point &= masks[more];
    for (int i = 1; i <= more; i++) {
        point = point << 6 | (bytes[i] & 0x3FU);
    }
    *next += more + 1;
    return point;
}

/* Full-width forms become their ASCII twins, capitals small letters. */
static uint32_t fold(uint32_t point)
{
    if (point == 0x3000) {
        return ' ';
    }
    if (point >= 0xFF01 && point <= 0xFF5E) {
        point -= 0xFF01 - 0x21;
    }
    return point >= 'A' && point <= 'Z' ? point + ('a' - 'A') : point;
}

/* Spaces and punctuation, folded: ASCII, Latin-1, general and CJK punctuation, compatibility forms.
 * 々, 〆 and 〇 lie among CJK punctuation and are letters. */
static bool is_dropped(uint32_t point)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x00, 0x2F},     {0x3A, 0x40},     {0x5B, 0x60},     {0x7B, 0xA1},     {0xA7, 0xA7},
        {0xAB, 0xAB},     {0xAD, 0xAD},     {0xB6, 0xB7},     {0xBB, 0xBB},     {0xBF, 0xBF},
        {0x2000, 0x206F}, {0x2E00, 0x2E7F}, {0x3000, 0x3004}, {0x3008, 0x303F}, {0x30FB, 0x30FB},
        {0xFE30, 0xFE6F}, {0xFEFF, 0xFEFF}, {0xFF5F, 0xFF65},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (point >= ranges[i].first && point <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

/* Folds and drops. Between two ASCII words one space stays for now, so that a legal form is known
 * as a word ("Tesco" ends in none). Returns the length; out has room for as many bytes as the name.
 */
static size_t fold_name(const char *name, size_t length, char *out)
{
    const char *next = name;
    size_t used = 0;
    bool gap = false;
    while (next < name + length) {
        const char *begin = next;
        uint32_t point = read_point(&next);
        uint32_t folded = fold(point);
        if (is_dropped(folded)) {
            gap = true;
            continue;
        }
        bool ascii = folded < 0x80;
        if (gap && used > 0 && ascii && (unsigned char)out[used - 1] < 0x80) {
            out[used++] = ' ';
        }
        gap = false;
        if (ascii) {
            out[used++] = (char)folded;
        } else {
            memcpy(out + used, begin, (size_t)(next - begin));
            used += (size_t)(next - begin);
        }
    }
    return used;
}

/* The length without this suffix, or the length itself. A name is never all suffix. */
static size_t without(const char *text, size_t length, const char *suffix, bool word)
{
    size_t cut = strlen(suffix);
    if (length <= cut || memcmp(text + length - cut, suffix, cut) != 0) {
        return length;
    }
    char before = text[length - cut - 1];
    if (word && before != ' ' && (unsigned char)before < 0x80) {
        return length;
    }
    length -= cut;
    return text[length - 1] == ' ' ? length - 1 : length;
}

/* Takes legal forms away from the end until none is left: "Co., Ltd.", "集团股份有限公司". */
static size_t drop_suffixes(const char *text, size_t length)
{
    size_t before;
    do {
        before = length;
        for (size_t i = 0; i < sizeof cjk_suffixes / sizeof cjk_suffixes[0]; i++) {
            length = without(text, length, cjk_suffixes[i], false);
        }
        for (size_t i = 0; i < sizeof latin_suffixes / sizeof latin_suffixes[0]; i++) {
            length = without(text, length, latin_suffixes[i], true);
        }
    } while (length < before);
    return length;
}

/* norm_name, in the arena; NULL where the name has no letter or digit. */
daybook_status dk_derive_customer(const struct sales_case *given)
{
    const struct value *name = &given->record->values[CUSTOMER_NAME];
    struct value *norm = &given->record->values[CUSTOMER_NORM_NAME];
    norm->kind = VALUE_NULL;
    if (name->kind != VALUE_TEXT) {
        return DAYBOOK_OK;
    }
    char *text = dk_arena_new(given->arena, (size_t)name->length + 1);
    if (text == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    size_t length = drop_suffixes(text, fold_name(name->text, name->length, text));
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] != ' ') {
            text[used++] = text[i];
        }
    }
    if (used > 0) {
        *norm = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)used};
        norm->text = text;
    }
    return DAYBOOK_OK;
}

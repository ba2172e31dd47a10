/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the options of daybook_open. Invariant: what passes can be used without another check, and
 * what does not is named.
 */
#include "engine/api/options.h"

#include "engine/api/default_platform.h"
#include "engine/api/error.h"
#include "engine/protocol/limits.h"

#include <stddef.h>
#include <string.h>

#define PATH_BYTES_MAX 4096
#define CACHE_KIB_MAX (1024 * 1024)
#define TIMEOUT_MS_MAX ((int64_t)24 * 60 * 60 * 1000)
#define PIN_PREFIX "sha256//"
#define PIN_BASE64_LENGTH 44 /* 32 bytes */

/* Refuses the option of this name. */
static daybook_status refuse(daybook_error *error, const char *option, const char *text)
{
    return dk_error_set(error, DAYBOOK_INVALID, NULL, option, NULL, text);
}

/* Copies a struct that begins with its size into one of this library's; what an older app does not
 * know stays 0, and what a newer one adds must be 0. False: it is not. */
static bool copy_sized(void *to, size_t to_size, size_t minimum, const void *from, size_t from_size)
{
    memset(to, 0, to_size);
    if (from_size < minimum) {
        return false;
    }
    memcpy(to, from, from_size < to_size ? from_size : to_size);
    for (size_t i = to_size; i < from_size; i++) {
        if (((const unsigned char *)from)[i] != 0) {
            return false;
        }
    }
    return true;
}

/* The first required hook that is missing, or NULL. */
static const char *missing_hook(const daybook_platform *platform)
{
    const struct {
        bool set;
        const char *name;
    } hooks[] = {
        {platform->wall_ms != NULL, "platform.wall_ms"},
        {platform->steady_ms != NULL, "platform.steady_ms"},
        {platform->boot_id != NULL, "platform.boot_id"},
        {platform->random != NULL, "platform.random"},
        {platform->transport_open != NULL, "platform.transport_open"},
        {platform->transport_exchange != NULL, "platform.transport_exchange"},
        {platform->transport_interrupt != NULL, "platform.transport_interrupt"},
        {platform->transport_close != NULL, "platform.transport_close"},
        {(platform->thread_start == NULL) == (platform->thread_join == NULL),
         "platform.thread_join"},
    };
    for (size_t i = 0; i < sizeof hooks / sizeof hooks[0]; i++) {
        if (!hooks[i].set) {
            return hooks[i].name;
        }
    }
    return NULL;
}

/* The platform given, or the default. */
static daybook_status read_platform(const daybook_platform *given, daybook_platform *platform,
                                    daybook_error *error)
{
    const daybook_platform *from = given != NULL ? given : dk_default_platform();
    if (from == NULL) {
        return refuse(error, "platform", "this library has no default platform; give one");
    }
    if (!copy_sized(platform, sizeof *platform, offsetof(daybook_platform, network_up), from,
                    from->size)) {
        return refuse(error, "platform", "platform.size is not that of a daybook_platform");
    }
    platform->size = sizeof *platform;
    const char *hook = missing_hook(platform);
    return hook == NULL ? DAYBOOK_OK : refuse(error, hook, "a required hook is missing");
}

/* "https://host[:port]", and slashes at its end: nothing else may follow the host, and nothing that
 * could end up elsewhere. */
static daybook_status read_url(const char *given, char url[OPTION_URL_MAX + 1],
                               daybook_error *error)
{
    static const char scheme[] = "https://";
    size_t length = strnlen(given, OPTION_URL_MAX + 1);
    if (length > OPTION_URL_MAX) {
        return refuse(error, "server_url", "server_url is too long");
    }
    if (strncmp(given, scheme, sizeof scheme - 1) != 0) {
        return refuse(error, "server_url", "server_url must begin with https://");
    }
    while (length > sizeof scheme - 1 && given[length - 1] == '/') {
        length--;
    }
    if (length == sizeof scheme - 1) {
        return refuse(error, "server_url", "server_url has no host");
    }
    for (size_t i = sizeof scheme - 1; i < length; i++) {
        char c = given[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '-' || c == ':' || c == '[' || c == ']';
        if (!fine) {
            return refuse(error, "server_url", "server_url must be https://host[:port]");
        }
    }
    memcpy(url, given, length);
    url[length] = '\0';
    return DAYBOOK_OK;
}

/* "sha256//" and the base64 of 32 bytes. */
static bool is_pin(const char *pin)
{
    size_t prefix = sizeof PIN_PREFIX - 1;
    if (strncmp(pin, PIN_PREFIX, prefix) != 0 ||
        strnlen(pin, prefix + PIN_BASE64_LENGTH + 1) != prefix + PIN_BASE64_LENGTH) {
        return false;
    }
    for (const char *c = pin + prefix; *c != '\0'; c++) {
        bool fine = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                    (*c >= '0' && *c <= '9') || *c == '+' || *c == '/' ||
                    (*c == '=' && c[1] == '\0');
        if (!fine) {
            return false;
        }
    }
    return true;
}

/* See is_pin. */
static daybook_status check_pins(const char *const *pins, daybook_error *error)
{
    for (int i = 0; pins != NULL && pins[i] != NULL; i++) {
        if (i == OPTION_PINS_MAX) {
            return refuse(error, "pins", "too many pins");
        }
        if (!is_pin(pins[i])) {
            return refuse(error, "pins", "a pin must be sha256// and the base64 of 32 bytes");
        }
    }
    return DAYBOOK_OK;
}

/* Numbers within their bounds; 0 becomes the default where that is ours to choose. */
static daybook_status read_numbers(daybook_options *options, daybook_error *error)
{
    if (options->cache_kib < 0 || options->cache_kib > CACHE_KIB_MAX) {
        return refuse(error, "cache_kib", "cache_kib is out of range");
    }
    if (options->page_bytes < 0 || options->page_bytes > LIMIT_REPLY_EXPANDED) {
        return refuse(error, "page_bytes", "page_bytes is out of range");
    }
    if (options->timeout_ms < 0 || options->timeout_ms > TIMEOUT_MS_MAX) {
        return refuse(error, "timeout_ms", "timeout_ms is out of range");
    }
    if (options->cache_kib == 0) {
        options->cache_kib = 4096;
    }
    if (options->timeout_ms == 0) {
        options->timeout_ms = OPTION_TIMEOUT_MS;
    }
    return DAYBOOK_OK;
}

/* See the header. */
daybook_status dk_options_read(const daybook_options *given, daybook_options *options,
                               daybook_platform *platform, char url[OPTION_URL_MAX + 1],
                               daybook_error *error)
{
    if (!copy_sized(options, sizeof *options, sizeof *options, given, given->size)) {
        return refuse(error, "size",
                      "options.size is not that of a daybook_options; use "
                      "DAYBOOK_OPTIONS_INIT");
    }
    size_t path = options->path == NULL ? 0 : strnlen(options->path, PATH_BYTES_MAX + 1);
    if (path == 0 || path > PATH_BYTES_MAX) {
        return refuse(error, "path", path == 0 ? "path is missing" : "path is too long");
    }
    daybook_status status = read_platform(options->platform, platform, error);
    url[0] = '\0';
    if (status == DAYBOOK_OK && options->server_url != NULL) {
        status = read_url(options->server_url, url, error);
    }
    if (status == DAYBOOK_OK && options->ca_file != NULL && options->ca_file[0] == '\0') {
        status = refuse(error, "ca_file", "ca_file is empty");
    }
    if (status == DAYBOOK_OK) {
        status = check_pins(options->pins, error);
    }
    if (status == DAYBOOK_OK) {
        status = read_numbers(options, error);
    }
    options->platform = platform;
    options->server_url = url[0] != '\0' ? url : NULL;
    return status;
}

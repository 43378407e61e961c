/* SPDX-License-Identifier: Apache-2.0 */
/* See option.h. */
#include "kernel/option.h"

#include "kernel/log.h"
#include "kernel/string.h"

#define WORD_MAX 64u

LINKSET_DECLARE(boot_option);

static const struct boot_option *option_find(const char *name)
{
    linkset_for_each(boot_option, it)
    {
        const struct boot_option *option = *it;

        if (strcmp(option->name, name) == 0)
            return option;
    }
    return NULL;
}

static size_t until(const char *text, char end)
{
    size_t i = 0;

    while (text[i] && text[i] != end)
        i++;
    return i;
}

/* Whether one of ours begins as this does, up to a dot: then it is meant for us. */
static bool option_is_ours(const char *name)
{
    size_t length = until(name, '.');

    linkset_for_each(boot_option, it)
    {
        const struct boot_option *option = *it;

        if (name[length] && strncmp(option->name, name, length + 1) == 0)
            return true;
    }
    return false;
}

static void option_set(const char *name, const char *value)
{
    const struct boot_option *option = option_find(name);
    bool on = strcmp(value, "on") == 0;

    if (!option) {
        if (option_is_ours(name))
            log_warn("there is no boot option '%s'", name);
    } else if (!on && strcmp(value, "off") != 0) {
        log_warn("boot option '%s' is on or off, not '%s'", name, value);
    } else {
        *option->flag = on;
        log_info("boot option: %s: %s", option->help, value);
    }
}

static void option_word(const char *text, size_t length)
{
    char word[WORD_MAX];
    size_t name;

    length = MIN(length, sizeof(word) - 1);
    memcpy(word, text, length);
    word[length] = '\0';
    name = until(word, '=');
    if (word[name] == '\0')
        return;
    word[name] = '\0';
    option_set(word, word + name + 1);
}

void options_parse(const char *text)
{
    while (*text) {
        size_t length = until(text, ' ');

        option_word(text, length);
        text += length + (text[length] == ' ');
    }
}

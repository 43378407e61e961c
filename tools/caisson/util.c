/* SPDX-License-Identifier: Apache-2.0 */
/* Files, programs and messages. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/assert.h"
#include "tools/caisson/tool.h"

static char temp_folder[] = "/tmp/caisson-XXXXXX";
static bool temp_made;

bool fail(const char *format, ...)
{
    va_list args;

    fputs("caisson: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return false;
}

void assert_failed(const char *expr, const char *file, int line)
{
    fail("%s:%d: bug: %s", file, line, expr);
    abort();
}

void *allocate(size_t size)
{
    void *p = calloc(1, size ? size : 1);

    if (!p) {
        fail("out of memory");
        exit(1);
    }
    return p;
}

char *text_of(const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0) {
        fail("out of memory");
        exit(1);
    }
    va_end(args);
    return text;
}

static char *stream_read(FILE *f, size_t *size)
{
    struct stat st;
    char *data;

    if (fstat(fileno(f), &st) != 0)
        return NULL;
    if (S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return NULL;
    }
    data = allocate((size_t)st.st_size + 1);
    *size = fread(data, 1, (size_t)st.st_size, f);
    if (*size != (size_t)st.st_size) {
        errno = EIO;
        return NULL;
    }
    return data;
}

char *file_read(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    char *data = f ? stream_read(f, size) : NULL;
    int error = errno;

    if (f)
        fclose(f);
    errno = error;
    return data;
}

bool file_write(const char *path, const void *data, size_t size)
{
    char *part = text_of("%s.part", path);
    FILE *f = fopen(part, "wb");
    bool ok;

    if (!f)
        return fail("%s: %s", part, strerror(errno));
    ok = fwrite(data, 1, size, f) == size;
    ok = fclose(f) == 0 && ok;
    if (!ok || rename(part, path) != 0) {
        fail("%s: %s", path, strerror(errno));
        unlink(part);
        return false;
    }
    return true;
}

static void temp_remove(void)
{
    DIR *dir = opendir(temp_folder);

    for (struct dirent *e; dir && (e = readdir(dir));)
        unlinkat(dirfd(dir), e->d_name, 0);
    if (dir)
        closedir(dir);
    rmdir(temp_folder);
}

const char *temp_path(const char *name)
{
    if (!temp_made && !mkdtemp(temp_folder)) {
        fail("%s: %s", temp_folder, strerror(errno));
        return NULL;
    }
    if (!temp_made)
        atexit(temp_remove);
    temp_made = true;
    return text_of("%s/%s", temp_folder, name);
}

/* In the child: make fd write to the file. */
static void redirect(int fd, const char *path)
{
    int file = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600) : fd;

    if (file < 0 || dup2(file, fd) < 0)
        _exit(126);
}

bool run(const char *const *argv, const char *package, const char *out, const char *err)
{
    int status = 0;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        redirect(1, out);
        redirect(2, err);
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return fail("%s: %s", argv[0], strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return fail("the program '%s' is not there; install %s", argv[0], package);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

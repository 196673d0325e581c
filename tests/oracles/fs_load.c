// Load on a mounted file system in a virtual machine: several processes, files that must survive a power cut, large directories, a
// full disk. Everything depends on the seed. Exits with 1 after an error that neither a full disk nor a race between the
// processes explains.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

enum { NAMES = 300, FOLDERS = 4, BUFFER = 1 << 18 };

static uint64_t state;
static char buffer[BUFFER];

static uint32_t draw(uint32_t below) {  // xorshift64*
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 0x2545F4914F6CDD1DULL) >> 33) % below;
}

static void fail(const char *what, const char *path) {
    printf("VM: not ok: %s: %.80s: %s\n", what, path, strerror(errno));
    fflush(stdout);
    exit(1);
}

// Errors that are expected on a busy or full file system.
static void expect(int result, const char *what, const char *path) {
    static const int usual[] = {ENOENT, EEXIST, ENOTEMPTY, EISDIR, ENOTDIR, ENOSPC, ENODATA, EMLINK, EINVAL, ELOOP, EPERM, ENAMETOOLONG, EOPNOTSUPP};
    if (result >= 0) return;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (errno == usual[i]) return;
    fail(what, path);
}

// A name of this process: some short, some of maximum length, in one of several folders.
static const char *name(char *out) {
    uint32_t folder = draw(FOLDERS), number = draw(NAMES);
    int length = number % 7 == 0 ? 240 : number % 3 == 0 ? 60 : 6;
    sprintf(out, "d%u/%0*u", folder, length, number);
    return out;
}

static void change_contents(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0644);
    if (fd < 0) return expect(fd, "open", path);
    size_t length = draw(8) ? draw(20000) : draw(BUFFER);
    off_t at = draw(4) ? 0 : draw(1 << 24);
    memset(buffer, (int)draw(256), length);
    switch (draw(7)) {
        case 0: expect(ftruncate(fd, draw(1 << 20)), "truncate", path); break;
        case 1: expect(fallocate(fd, draw(2) ? FALLOC_FL_KEEP_SIZE : 0, at, (off_t)length + 1), "allocate", path); break;
        case 2: expect(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at & ~4095, 65536), "punch", path); break;
        case 3: expect(fallocate(fd, draw(2) ? FALLOC_FL_COLLAPSE_RANGE : FALLOC_FL_INSERT_RANGE, 4096, 8192), "shift", path); break;
        default: expect((int)pwrite(fd, buffer, length, at), "write", path);
    }
    if (draw(30) == 0) expect(fsync(fd), "fsync", path);
    close(fd);
}

static void change_attributes(const char *path) {
    char attribute[32];
    sprintf(attribute, "user.%u", draw(12));
    size_t length = draw(3) ? draw(60) : draw(2500);
    memset(buffer, 'a', length);
    if (draw(3))
        expect(lsetxattr(path, attribute, buffer, length, 0), "setxattr", path);
    else
        expect(lremovexattr(path, attribute), "removexattr", path);
}

static void step(void) {
    char one[300], two[300], target[1200];
    name(one);
    name(two);
    switch (draw(16)) {
        case 0: case 1: case 2: case 3: case 4: change_contents(one); break;
        case 5: case 6: expect(rename(one, two), "rename", one); break;
        case 7: expect(link(one, two), "link", one); break;
        case 8:
            memset(target, 't', sizeof target);
            target[draw(2) ? 1 + draw(59) : 60 + draw(1100)] = 0;
            expect(symlink(target, one), "symlink", one);
            break;
        case 9: case 10: case 11: expect(unlink(one), "unlink", one); break;
        case 12: expect(mkdir(one, 0755), "mkdir", one); break;
        case 13: expect(rmdir(one), "rmdir", one); break;
        case 14: change_attributes(one); break;
        default: expect(fchmodat(AT_FDCWD, one, draw(0777), 0), "chmod", one);
    }
}

static void folders(const char *base, int number) {
    char path[300];
    sprintf(path, "%.200s/%d", base, number);
    if (mkdir(path, 0755) && errno != EEXIST) fail("mkdir", path);
    if (chdir(path)) fail("chdir", path);
    for (int i = 0; i < FOLDERS; i++) {
        sprintf(path, "d%d", i);
        if (mkdir(path, 0755) && errno != EEXIST) fail("mkdir", path);
    }
}

// load FOLDER SEED PROCESSES SECONDS
static void load(char **argument) {
    int processes = atoi(argument[2]);
    time_t seconds = atoi(argument[3]);
    for (int i = 0; i < processes; i++) {
        if (fork()) continue;
        folders(argument[0], i);
        state = strtoull(argument[1], NULL, 10) * 1000003 + (uint64_t)i * 7919 + 1;
        struct timespec begin, now;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        unsigned long steps = 0;
        do {
            for (int k = 0; k < 50; k++) step();
            steps += 50;
            clock_gettime(CLOCK_MONOTONIC, &now);
        } while (now.tv_sec - begin.tv_sec < seconds);
        printf("VM: process %d: %lu steps\n", i, steps);
        fflush(stdout);
        _exit(0);
    }
    int status, bad = 0;
    while (wait(&status) > 0) bad |= status;
    if (bad) exit(1);
    printf("VM: load done\n");
}

static size_t pattern(unsigned number) {
    size_t length = 1 + (number * 2654435761u) % 20000;
    for (size_t i = 0; i < length; i++) buffer[i] = (char)(number + i / 7);
    return length;
}

// synced FOLDER FIRST: writes files until the disk is full, and prints each one after it was synced
static void synced(char **argument) {
    int folder = open(argument[0], O_RDONLY | O_DIRECTORY);
    if (folder < 0) fail("open", argument[0]);
    for (unsigned number = (unsigned)atoi(argument[1]);; number++) {
        char path[32];
        sprintf(path, "%u", number);
        size_t length = pattern(number);
        int fd = openat(folder, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        errno = 0;
        if (fd < 0 || write(fd, buffer, length) != (ssize_t)length || fsync(fd) || close(fd) || fsync(folder)) {
            if (errno == ENOSPC || errno == 0) return;
            fail("sync", path);
        }
        printf("VM: synced %u\n", number);
        fflush(stdout);
    }
}

// verify FOLDER COUNT: checks that the synced files exist with all their bytes
static void verify(char **argument) {
    int count = atoi(argument[1]);
    for (int number = 0; number < count; number++) {
        static char found[BUFFER];
        char path[300];
        sprintf(path, "%.200s/%d", argument[0], number);
        size_t length = pattern((unsigned)number);
        int fd = open(path, O_RDONLY);
        if (fd < 0) fail("synced, and lost", path);
        if (read(fd, found, BUFFER) != (ssize_t)length || memcmp(found, buffer, length)) fail("synced, and different", path);
        close(fd);
    }
    printf("VM: %d synced files are there\n", count);
}

// names FOLDER COUNT LENGTH: adds names to a folder, removes every third, and looks up all of them
static void names(char **argument) {
    int count = atoi(argument[1]), length = atoi(argument[2]);
    char path[600];
    for (int round = 0; round < 3; round++)
        for (int number = 0; number < count; number++) {
            sprintf(path, "%.300s/new-%0*d", argument[0], length, number);
            if (round == 0) {
                int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
                if (fd < 0) fail("create", path);
                close(fd);
            }
            if (round == 1 && number % 3 == 0 && unlink(path)) fail("unlink", path);
            if (round == 2 && (access(path, F_OK) == 0) == (number % 3 == 0)) fail("look up", path);
        }
    printf("VM: %d names added\n", count);
}

// inodes FOLDER: creates empty files until there are no more inodes, then removes them
static void inodes(char **argument) {
    char path[300];
    int number = 0, fd;
    for (;; number++) {
        sprintf(path, "%.200s/%d", argument[0], number);
        if ((fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644)) < 0) break;
        close(fd);
    }
    if (errno != ENOSPC) fail("create", path);
    printf("VM: out of inodes after %d\n", number);
    while (number-- > 0) {
        sprintf(path, "%.200s/%d", argument[0], number);
        if (unlink(path)) fail("unlink", path);
    }
}

// blocks FOLDER: writes files until the disk is full, then removes every other file
static void blocks(char **argument) {
    char path[300];
    long long written = 0;
    int number = 0;
    for (ssize_t got = 1; got > 0; number++) {
        sprintf(path, "%.200s/%d", argument[0], number);
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
        if (fd < 0) break;
        memset(buffer, number, BUFFER);
        for (int part = 0; part < 16 && (got = write(fd, buffer, BUFFER)) > 0; part++) written += got;
        close(fd);
    }
    if (errno != ENOSPC) fail("write", path);
    printf("VM: full after %lld MiB\n", written >> 20);
    for (int other = 0; other < number; other += 2) {
        sprintf(path, "%.200s/%d", argument[0], other);
        if (unlink(path)) fail("unlink", path);
    }
}

int main(int count, char **argument) {
    static const struct { const char *name; int arguments; void (*run)(char **); } tasks[] = {
        {"load", 4, load}, {"synced", 2, synced}, {"verify", 2, verify}, {"names", 3, names}, {"inodes", 1, inodes}, {"blocks", 1, blocks},
    };
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++)
        if (count > 1 && !strcmp(argument[1], tasks[i].name) && count == 2 + tasks[i].arguments) {
            if (mkdir(argument[2], 0755) && errno != EEXIST) fail("mkdir", argument[2]);
            tasks[i].run(argument + 2);
            return 0;
        }
    fprintf(stderr, "usage: fs_load load|synced|verify|names|inodes|blocks FOLDER [NUMBER] ...\n");
    return 2;
}

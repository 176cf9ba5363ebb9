/* The first process of every container in the lab, linked statically: there is nothing else inside.
 *
 * It does what hive can see of a NixOS that comes up: /run/current-system names its own system, systemd-nspawn is told
 * when it is ready, the agent's port answers with who it is and what it runs, and SIGRTMIN+3 ends it. Its system says in
 * small files what it is (`agent`, `port`) and whether it shall come up at all (`start`). How many seconds it takes to
 * come up, as a NixOS does, stands in a file of its root, `boot-seconds`; without one it is there at once.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define CURRENT "/run/current-system"

static void leave(int number)
{
    (void)number;
    _exit(0);
}

/* The first line of a file of `system`, or nothing. */
static const char *said(const char *system, const char *name, char line[256])
{
    char path[PATH_MAX];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", system, name);
    line[0] = 0;
    if ((file = fopen(path, "r"))) {
        if (fgets(line, 256, file))
            line[strcspn(line, "\n")] = 0;
        fclose(file);
    }
    return line;
}

static void tell_ready(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (!path)
        return;
    strncpy(to.sun_path, path, sizeof to.sun_path - 1);
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + strlen(to.sun_path);
    if (to.sun_path[0] == '@')
        to.sun_path[0] = 0;
    if (sendto(notify, "READY=1", 7, 0, (struct sockaddr *)&to, size) < 0)
        perror("init: READY=1");
    close(notify);
}

static int listening(int port)
{
    int one = 1, server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};

    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (!port || bind(server, (struct sockaddr *)&at, sizeof at) || listen(server, 16)) {
        perror("init: no port to answer at");
        return -1;
    }
    return server;
}

/* A reload has made the link another one: it is read for each answer. */
static void answer(int client)
{
    char system[PATH_MAX] = "", agent[256], words[PATH_MAX + 512], asked[4096];
    struct pollfd can = {.fd = client, .events = POLLIN};

    if (poll(&can, 1, 1000) > 0 && recv(client, asked, sizeof asked, 0) > 0 && realpath(CURRENT, system)) {
        int size = snprintf(words, sizeof words,
            "HTTP/1.1 200 OK\r\nHive-Agent: %s\r\nHive-System: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            said(system, "agent", agent), system);
        send(client, words, size, MSG_NOSIGNAL);
    }
    close(client);
}

/* For whoever enters the container and finds no program there: `init write FILE`. */
static int write_file(const char *path)
{
    FILE *file = fopen(path, "w");

    if (!file || fprintf(file, "%d\n", getuid()) < 0 || fclose(file)) {
        perror(path);
        return 1;
    }
    return 0;
}

/* Likewise: `init move FROM TO`. */
static int move(const char *from, const char *to)
{
    if (rename(from, to)) {
        perror(from);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    char here[PATH_MAX], system[PATH_MAX], line[256];

    if (argc == 3 && !strcmp(argv[1], "write"))
        return write_file(argv[2]);
    if (argc == 4 && !strcmp(argv[1], "move"))
        return move(argv[2], argv[3]);
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGRTMIN + 3, leave);
    signal(SIGCHLD, SIG_IGN);
    snprintf(here, sizeof here, "%s", argv[0]);
    *strrchr(here, '/') = 0;
    if (!realpath(here, system)) {
        perror(here);
        return 1;
    }
    if (!strcmp(said(system, "start", line), "fails")) {
        puts("init: this system asks to fail (HIVE_SIM_START)");
        return 1;
    }
    while (!strcmp(line, "hangs"))
        pause();
    sleep(atoi(said("", "boot-seconds", line)));
    unlink(CURRENT);
    if (symlink(system, CURRENT)) {
        perror(CURRENT);
        return 1;
    }
    int server = listening(atoi(said(system, "port", line)));
    printf("init: running %s\n", system);
    tell_ready();
    for (;;) {
        if (server < 0)
            pause();
        int client = accept4(server, NULL, NULL, SOCK_CLOEXEC);
        if (client >= 0)
            answer(client);
    }
}

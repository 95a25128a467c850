/* The least that executing plugins can cost: THREADS threads, each of which makes a pipe, starts the plugin with vfork
 * and execve, reads to the end of the pipe and waits for the child. Nothing is parsed, scheduled or kept.
 *
 *     cc -O2 -pthread -o spawnloop spawnloop.c
 *     spawnloop THREADS RATE PLUGIN        RATE: executions per second of all threads together; 0 = as many as go
 *
 * Runs until it is killed. With a RATE it sleeps between executions as a scheduler would, and pays for waking up.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NANO 1000000000L
#define THREADS_MAX 256

extern char **environ;
static char **command;
static long threads;
static double rate;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void execute(void)
{
    char buffer[4096];
    int ends[2], status;
    if (pipe2(ends, O_CLOEXEC) < 0)
        die("pipe2");
    pid_t child = vfork();
    if (child < 0)
        die("vfork");
    if (child == 0) {
        if (dup2(ends[1], 1) >= 0)
            execve(command[0], command, environ);
        _exit(127);
    }
    close(ends[1]);
    while (read(ends[0], buffer, sizeof buffer) > 0)
        ;
    close(ends[0]);
    if (waitpid(child, &status, 0) < 0)
        die("waitpid");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "the plugin ended with status %d\n", status);
        exit(1);
    }
}

/* The threads take turns: thread i of n starts i/n of a period later than the first. */
static void *run(void *number)
{
    struct timespec due;
    long period = rate > 0 ? (long)(threads / rate * NANO) : 0;
    clock_gettime(CLOCK_MONOTONIC, &due);
    long ahead = period / threads * (long)number;
    for (;;) {
        if (period > 0) {
            due.tv_sec += (due.tv_nsec + ahead) / NANO;
            due.tv_nsec = (due.tv_nsec + ahead) % NANO;
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, 0);
            ahead = period;
        }
        execute();
    }
    return 0;
}

int main(int count, char **words)
{
    if (count < 4 || (threads = atol(words[1])) < 1 || threads > THREADS_MAX) {
        fprintf(stderr, "usage: spawnloop THREADS RATE PLUGIN\n");
        return 2;
    }
    rate = atof(words[2]);
    command = words + 3;
    /* It must not outlive whoever measures it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (long i = 0; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, 0, run, (void *)i) != 0)
            die("pthread_create");
    }
    pause();
}

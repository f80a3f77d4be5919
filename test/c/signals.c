/* Signals that wait, as one thread after the other sees them, wherever it runs: blocked, ignored, awaited (sigwait(3) and its kin), queued with values, in what order, and what a
 * thread that goes elsewhere takes along. Each prints the same lines as on Linux.
 *
 *   signals [THREADS] */
#include "cluster.h"
#include <signal.h>
#include <time.h>

static sigset_t all;
static unsigned self;
static char noted[64];
static volatile unsigned handled;

static void notes(int signal, siginfo_t *info, void *context)
{
	(void)context;
	snprintf(noted + strlen(noted), sizeof noted - strlen(noted), " %d:%d:%d", signal, info->si_code, info->si_value.sival_int);
	handled++;
}

static void handle(int signal, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	sigaction(signal, &action, 0);
}

static void say(const char *what, long value) { printf("signals: thread %u: %s: %ld\n", self, what, value); }

static void await(const char *what, const sigset_t *set, long microseconds)
{
	siginfo_t info = {0};
	struct timespec limit = { microseconds / 1000000, microseconds % 1000000 * 1000 };
	/* Not by the C library, which may begin again when a handler cuts it short. */
	int signal = (int)syscall(SYS_rt_sigtimedwait, set, &info, microseconds < 0 ? 0 : &limit, 8);
	if (signal < 0)
		printf("signals: thread %u: %s: %s\n", self, what, strerror(errno));
	else
		printf("signals: thread %u: %s: %d, code %d, value %d, %s\n", self, what, signal == info.si_signo ? signal : -1, info.si_code,
		       info.si_value.sival_int, info.si_pid == getpid() ? "from here" : "from elsewhere");
}

static sigset_t of(int one, int two, int three, int four)
{
	sigset_t set;
	sigemptyset(&set);
	for (unsigned i = 0; i < 4; i++) {
		int signal = (int[]){ one, two, three, four }[i];
		if (signal)
			sigaddset(&set, signal);
	}
	return set;
}

static void queue(int signal, int value)
{
	if (sigqueue(getpid(), signal, (union sigval){ .sival_int = value }) < 0)
		fail("sigqueue");
}

static void queue_here(int signal, int value)
{
	siginfo_t info = { .si_signo = signal, .si_code = SI_QUEUE };
	info.si_pid = getpid();
	info.si_value.sival_int = value;
	if (syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), signal, &info) < 0)
		fail("rt_tgsigqueueinfo");
}

struct order {
	pthread_t to; /* unless it is for the process */
	int whole, signal;
	/* What is not blocked may come before it is waited for: it is sent until `met`. */
	int again;
	volatile int met;
};

static void *sends(void *which)
{
	struct order *order = which;
	struct timespec moment = { 0, 3000000 };
	do {
		nanosleep(&moment, 0);
		if (order->whole ? kill(getpid(), order->signal) : pthread_kill(order->to, order->signal))
			fail("kill");
	} while (order->again && !order->met);
	return 0;
}

static void from_another(const char *what, int whole, int signal, const sigset_t *set, int again)
{
	pthread_t sender;
	struct order order = { pthread_self(), whole, signal, again, 0 };
	pthread_create(&sender, 0, sends, &order);
	await(what, set, -1);
	order.met = 1;
	pthread_join(sender, 0);
}

static int waits(int signal)
{
	sigset_t set;
	sigpending(&set);
	return sigismember(&set, signal);
}

static void *tries(void *nothing)
{
	const int first = SIGRTMIN + 1, second = SIGRTMIN + 2;
	sigset_t set = of(SIGUSR1, SIGUSR2, first, second), one;
	raise(SIGUSR1);
	raise(SIGUSR1);
	say("waits", waits(SIGUSR1));
	await("raised", &set, -1);
	await("only once", &set, 0);
	kill(getpid(), SIGUSR1);
	await("for the process", &set, -1);
	for (int i = 7; i < 10; i++)
		queue(first, i);
	for (int i = 7; i < 10; i++)
		await("in a queue", &set, -1);
	queue(second, 1);
	queue(SIGUSR2, 2);
	queue(first, 3);
	queue(first, 4);
	queue_here(second, 5);
	for (int i = 0; i < 5; i++)
		await("in order", &set, -1);
	for (int i = 0; i < 32; i++)
		queue(second, i);
	unsigned right = 0;
	for (int i = 0; i < 32; i++) {
		siginfo_t info;
		right += sigwaitinfo(&set, &info) == second && info.si_value.sival_int == i;
	}
	say("of 32", right);
	await("nothing", &set, 2000);
	struct timespec no_time = { 0, 1000000000 };
	say("no time", sigtimedwait(&set, 0, &no_time) < 0 && errno == EINVAL);
	say("nobody", sigqueue(1 << 22, SIGUSR1, (union sigval){ 0 }) < 0 && errno == ESRCH);
	say("no signal", sigqueue(getpid(), 65, (union sigval){ 0 }) < 0 && errno == EINVAL);
	say("only asked", sigqueue(getpid(), 0, (union sigval){ 0 }));

	signal(SIGUSR2, SIG_IGN);
	raise(SIGUSR2);
	say("ignored and blocked, waits", waits(SIGUSR2));
	await("ignored and blocked", &set, 0);
	raise(SIGUSR2);
	signal(SIGUSR2, SIG_IGN);
	say("ignored again, waits", waits(SIGUSR2));
	one = of(SIGUSR2, SIGCHLD, 0, 0);
	pthread_sigmask(SIG_UNBLOCK, &one, 0);
	raise(SIGUSR2);
	raise(SIGCHLD);
	say("ignored and not blocked, waits", waits(SIGUSR2) + waits(SIGCHLD));
	signal(SIGUSR2, SIG_DFL);
	handle(SIGWINCH, notes);
	one = of(SIGWINCH, 0, 0, 0);
	pthread_sigmask(SIG_SETMASK, &all, 0);
	pthread_sigmask(SIG_UNBLOCK, &one, 0);
	from_another("with a handler, not blocked and awaited", 0, SIGWINCH, &one, 1);
	pthread_sigmask(SIG_SETMASK, &all, 0);

	one = of(SIGTERM, 0, 0, 0);
	from_another("of another thread", 0, SIGTERM, &one, 0);
	from_another("of the process, while it waits", 1, SIGTERM, &one, 0);

	handle(SIGHUP, notes);
	handle(SIGUSR1, notes);
	handle(SIGSEGV, notes);
	handle(first, notes);
	handle(SIGURG, notes);
	one = of(SIGURG, 0, 0, 0);
	pthread_sigmask(SIG_UNBLOCK, &one, 0);
	one = of(SIGUSR2, 0, 0, 0);
	handled = 0;
	from_another("cut short", 0, SIGURG, &one, 1);
	say("handled", handled > 0);
	pthread_sigmask(SIG_SETMASK, &all, 0);

	*noted = 0;
	raise(SIGUSR1);
	queue_here(first, 1);
	queue_here(first, 2);
	raise(SIGHUP);
	raise(SIGSEGV);
	one = of(SIGUSR1, SIGSEGV, first, SIGHUP);
	pthread_sigmask(SIG_UNBLOCK, &one, 0);
	printf("signals: thread %u: handled%s\n", self, noted);
	pthread_sigmask(SIG_SETMASK, &all, 0);

	/* Away, and back. */
	cpu_set_t cores_of_mine, other;
	sched_getaffinity(0, sizeof cores_of_mine, &cores_of_mine);
	for (unsigned core = 0; core < 6; core++) {
		queue_here(first, (int)core);
		pthread_kill(pthread_self(), SIGUSR1);
		CPU_ZERO(&other);
		CPU_SET((core + self) % 6, &other);
		sched_setaffinity(0, sizeof other, &other);
	}
	for (int i = 0; i < 7; i++)
		await("taken along", &set, 0);
	await("and no more", &set, 0);
	return nothing;
}

int main(int count, char **words)
{
	unsigned threads = number_from(count > 1 ? words[1] : 0, 4);
	setvbuf(stdout, 0, _IOLBF, 0);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, 0);
	for (; self < threads; self++) {
		pthread_t thread;
		pthread_create(&thread, 0, tries, 0);
		pthread_join(thread, 0);
	}
	return 0;
}

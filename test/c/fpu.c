/* Floating point under preemption: threads with different rounding and different sums share the cores, in SSE2
 * and in x87 (musl's printf formats doubles with the x87), and must not see each other's registers. */
#include "cluster.h"
#include <fenv.h>
#include <math.h>

#define THREADS 6
#define STEPS 200000

static double results[THREADS];
static long double long_results[THREADS];
static int rounding_kept[THREADS];
static const int rounding[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};

static void *sum(void *argument)
{
	unsigned me = (unsigned)(uintptr_t)argument;
	double s = 0;
	long double l = 0;
	fesetround(rounding[me % 4]);
	for (int i = 1; i <= STEPS; i++) {
		s += 1.0 / ((double)i * (me + 1));
		l += 1.0L / ((long double)i * i);
		if (i % 50000 == 0)
			sched_yield();
	}
	rounding_kept[me] = fegetround() == rounding[me % 4];
	fesetround(FE_TONEAREST);
	results[me] = s;
	long_results[me] = l;
	return 0;
}

int main(void)
{
	int right = 1;
	on_threads(THREADS, sum);
	for (unsigned i = 0; i < THREADS; i++) {
		printf("fpu: thread %u sum %.17g long %.18Lf rounding %s\n", i, results[i], long_results[i],
		       rounding_kept[i] ? "kept" : "LOST");
		right &= rounding_kept[i];
	}
	printf("fpu: %.3f %e %g %a\n", 3.14159, 6.02214076e23, sqrt(2.0), 1.0 / 3);
	double back = strtod("0.1", 0);
	right &= back * 3 != 0.3 && fabs(back * 3 - 0.3) < 1e-15;
	printf("fpu: %s\n", right ? "right" : "WRONG");
	return right ? 0 : 1;
}

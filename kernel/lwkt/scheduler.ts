// The scheduler of one core: a run queue per priority, round robin within one.

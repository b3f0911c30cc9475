"""Where and how runs are executed: the worker process and the scheduler that starts it."""

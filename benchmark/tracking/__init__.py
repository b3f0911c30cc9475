"""Records to MLflow: one parent run per invocation, one child per run.

The records are the truth, MLflow is a mirror of them. A thread of the parent process is the only
writer (several writers on one SQLite file wait for each other for seconds); what it could not
write, ``python -m benchmark track`` writes later, once.
"""

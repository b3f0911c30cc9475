"""The search for better recipes, on validation patients alone. Only this room knows Optuna.

A trial is a run that ends with its training: no test case is prepared or read. Its record says so
(``evaluate: validation`` in its specification), and no report takes it for a result.
"""

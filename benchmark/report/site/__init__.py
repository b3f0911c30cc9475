"""``report/index.html``: the leaderboard as one page that needs nothing but itself.

Every part of the page is plain data made by one module here (``scores``, ``charts``, ``cases``, ``links``, …)
and shown by the script of the same name in ``templates``; ``page`` puts them into one file.
"""

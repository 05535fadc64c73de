"""Locust users and scenarios: the only code that imports locust or gevent.

`chat.py`, `open.py` and `stages.py` are locustfiles: `locust -f scenarios/chat.py --host URL`. The other files hold the
parts that locustfiles use.
"""

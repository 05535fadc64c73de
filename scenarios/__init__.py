"""Locust users and scenario files. The only code that imports locust or gevent; every file but this package's
`streaming.py` is a plain locustfile: `locust -f scenarios/chat.py --host URL`.
"""

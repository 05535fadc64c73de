"""Several replicas behind one address: routing, admission, queues, cold starts, overload, a prefix cache, gauges."""

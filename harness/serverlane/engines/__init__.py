"""One TOML file an engine, read by `streamgauge.serverlane.engine`. A new file is a new engine: nothing registers it.

- `name`; `path`, where the engine shows its figures; `format`: `prometheus` or `json`.
- `running`, `waiting`, `kv_share`, `generated`: where each figure stands. The first place that exists counts, because
  engines rename their metrics. A Prometheus series may ask for labels: `name{kind="active"}`; the values of several
  series are added (the largest counts for `kv_share`). In JSON, a place is a path such as `*.num_waiting_reqs`: `*` is
  each item of a list, and the values are added, true counting as 1.
- `running_and_waiting`: where an engine shows only both together. `running` is then the rest.
- `queue`, `prefill`: Prometheus histograms in seconds, by the name without `_sum` and `_count`.
- `trap`: how these figures can mislead, in one sentence.
"""

"""The load: arrivals, stages, prompts, the run under Locust, and the job that every process of the run gets."""

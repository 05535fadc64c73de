"""What a load asks of an endpoint: arrivals, stages, prompts, and the job that travels to every process."""

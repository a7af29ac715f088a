"""What is started when, and with which data: due times and user rows, as flat arrays."""

"""What drives the core through time: the table of jobs, the live and the virtual driver, the writer, the worker."""

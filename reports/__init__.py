"""Reports: everything here re-reads a run directory and writes what people read. The only code that draws."""

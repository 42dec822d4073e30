"""The built-in agents, one page each, and the catalog that finds all agents."""

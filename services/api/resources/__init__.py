"""What answers the routes, one module for each kind of thing."""

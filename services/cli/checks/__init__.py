"""What `vitrine doctor` looks at, one module for each kind of dependency. A check yields its findings."""

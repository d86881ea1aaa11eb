"""Ready trainers: programs that `dsvc train` runs where it is given no command."""

"""What people run: commands, reports, cases, reference pages. Stands above the server, which never knows it."""

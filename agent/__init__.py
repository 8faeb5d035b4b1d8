"""The program on the rented machine: takes orders over HTTPS, keeps them on disk, computes in a child process.

jobs/       the job folder: read, written and moved by one object per attempt
attempts/   the life of an attempt: bring inputs, compute, deliver; and who may go first
worker/     the child process that computes, and its keeper
http/       routes, problems, the gate that demands the token
"""

"""vast.ai's REST API on loopback, as its official client 1.9.1 knows it, with real processes as instances.

    python -m tests.emulators.vast --port 0 [--root DIR] [--clock URL] [--offers FILE | --seed N] [--no-pacing]

    with Vast(root, now=clock) as vast:                                # in threads of this process
        vast.url                                                       # VAST_URL, `vastai --url`
        vast.fault("reply_lost", endpoint="create", times=1)           # tests/emulators/vast/faults.py names all
        vast.mend("reply_lost"), vast.mend()                           # these, or all
        vast.log(endpoint="create"), vast.bill(), vast.instances()     # what was asked, what it cost, what lives
        vast.traffic(instance, up=bytes, down=bytes)                   # moves bytes, on paper, which cost money

Control of the program: POST /_control {"fault": NAME or null, …} gives {"fault": number}; {"mend": NAME}, {"release":
number}, {"traffic": ID, "up": bytes, "down": bytes}, {"credit": dollars}, {"pacing": true | false}, {"forget": true}.
GET /_control/log, /_control/bill, /_control/instances, /_control/struck?fault=NUMBER&timeout_s=60.

An instance that reaches `running` is a process: its onstart in a folder of its own, with the variables that vast sets
(CONTAINER_ID, CONTAINER_API_KEY, …) and those of its order. There are no containers and no network of its own: a
program listens on the port that VAST_TCP_PORT_<n> names. Hours are the injected clock's; processes live in real time.
What no source says is decided in one place each and marked [?], as in the notes on the API that comments cite by
section ("1.4").
"""

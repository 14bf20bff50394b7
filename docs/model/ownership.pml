/* A model of shard ownership: claim, append, handover, takeover and failover in a small cluster.
 * It checks that only the owner writes a shard, and that no acknowledged message is lost.
 *
 *   script/model     checks this model, and that the check fails without any one of its rules
 *
 * There is one shard with one conversation, some nodes, and Redis as a master with one replica. A
 * store is the state of one Redis server: the shard's epoch and owner, and the stream. The replica
 * always has an earlier state of the master. A failover promotes the replica in that state. The old
 * master still answers the nodes that are connected to it until it replicates the new one.
 *
 * A node acts on its local state: its server, its epoch, and its last copy of the stream. Each of
 * its steps may be delayed arbitrarily, so a node that freezes and continues is a node with a late
 * step. A call to Redis is one step, and the use of its answer is another. All calls of one script
 * are one step.
 */

#ifndef NODES
#define NODES 2
#endif
#ifndef MESSAGES
#define MESSAGES 2
#endif
#ifndef HANDOVERS
#define HANDOVERS 2     /* changes of the view, in addition to those that follow a death */
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef FAILOVERS
#define FAILOVERS 1
#endif
#ifndef WAIT
#define WAIT 1          /* claims and answers wait for the replica. 0: a failover may lose
                           acknowledged messages */
#endif
#ifndef STRICT
#define STRICT WAIT     /* an acknowledged message never disappears, and its number never changes.
                           0: it is in the stream again at the end */
#endif

/* The rules. A definition such as -DNO_FENCE removes one. */
#ifdef NO_FENCE
#define isFenced(server, me, epoch) false
#else
#define isFenced(server, me, epoch) \
    (store[server].epoch != epoch || store[server].owner != me)
#endif
#ifdef NO_HEAD
#define isBehind(server, head) false
#else
#define isBehind(server, head) (store[server].head != head)
#endif

#define NO_OWNER 255
/* The last message is sent after the last fault. Its answer proves that the shard has an owner. */
#define isAfterFaults (kills == KILLS && failovers == FAILOVERS && handovers == HANDOVERS && \
    !isDead[viewOwner])
#define other(server) (1 - (server))
/* An old master rejects writes as soon as it replicates the new one. */
#define acceptsWrites(server) (server == master || !hasReplica)
#define isReplicated(server, offset) (WAIT == 0 || \
    (server == master && hasReplica && store[other(server)].writes >= offset))

typedef Store {
    byte epoch;
    byte owner;
    byte head;
    byte log[MESSAGES + 2];     /* log[n] is the message with the number n */
    byte writes                 /* the replication offset */
};

Store store[2];
byte master;
bool hasReplica = true;         /* the other server replicates the master */
byte viewOwner;                 /* the shard's owner in the newest view */
bool isDead[NODES];
byte answered[MESSAGES + 1];    /* the number in the answer to a message; 0: no answer yet */
/* An acknowledged message that the stream lost, and that a node hands over to the owner. */
bool isHandedOver[MESSAGES + 1];
byte kills, failovers, handovers;
byte unanswered = MESSAGES;     /* messages without an answer */
byte pendingHandovers;          /* messages that the owner has not stored yet */

/* Sets `found` to the number of a message in a server's stream; 0 if it is missing. */
inline find(server, message, found) {
    found = 0;
    index = 1;
    do
    :: index <= store[server].head && store[server].log[index] == message -> found = index; break
    :: index <= store[server].head && store[server].log[index] != message -> index++
    :: else -> break
    od
}

/* The script that appends one message. The same step has checked the fence. */
inline append(server, message) {
    find(server, message, found);
    assert(found == 0);         /* one client message id never creates two messages */
    store[server].head++;
    store[server].log[store[server].head] = message;
    store[server].writes++
}

/* A node retains a message that it hands over until the owner has stored it, because the receiver
 * may be a node that only believes that it is the owner. */
inline accept(message) {
    if
    :: isHandedOver[message] -> isHandedOver[message] = false; pendingHandovers--
    :: else
    fi
}

proctype Node(byte me) {
    byte server;                /* the server that the node is connected to */
    byte epoch;                 /* of its claim; 0 if it has none */
    bool isLoaded;              /* it has read the stream */
    bool isWaiting;             /* until the replica has reached `offset` */
    byte offset;
    byte head, known[MESSAGES + 2];     /* its last copy of the stream */
    byte message, number, index, found;

end:
    do
    :: isDead[me] -> break

    /* The newest view names the node as the owner: it claims the shard. No server rejects that. */
    :: atomic {
        !isDead[me] && viewOwner == me && epoch == 0 && acceptsWrites(server) ->
        store[server].epoch++;
        store[server].owner = me;
        store[server].writes++;
        epoch = store[server].epoch;
        offset = store[server].writes;
        isWaiting = true;
        isLoaded = false
    }

    /* The replica has confirmed the write. If it was a message, the node answers it. */
    :: atomic {
        !isDead[me] && isWaiting && isReplicated(server, offset) ->
        isWaiting = false;
        if
        :: message != 0 ->
            if
            :: answered[message] == 0 -> unanswered--
            :: else
            fi;
            answered[message] = number;
            message = 0
        :: else
        fi
    }

    /* The node reads the stream, and appends messages of its copy that the stream has lost. */
    :: atomic {
        !isDead[me] && epoch > 0 && !isLoaded && !isWaiting && acceptsWrites(server) ->
        if
        :: isFenced(server, me, epoch) -> epoch = 0
        :: else ->
#ifndef NO_REPAIR
            number = 1;
            do
            :: number <= head ->
                find(server, known[number], found);
                if
                :: found == 0 -> append(server, known[number])
                :: else
                fi;
                number++
            :: else -> break
            od;
#endif
            head = store[server].head;
            index = 1;
            do
            :: index <= head -> known[index] = store[server].log[index]; index++
            :: else -> break
            od;
            offset = store[server].writes;
            isWaiting = true;
            isLoaded = true
        fi;
        number = 0
    }

    /* A message is sent, retried or handed over. A message of the stream is not appended twice. */
    :: atomic {
        !isDead[me] && isLoaded && !isWaiting && acceptsWrites(server) &&
            unanswered + pendingHandovers > 0 ->
        select(message : 1 .. MESSAGES);
        index = 1;
        found = 0;
#ifndef NO_MEMORY
        do
        :: index <= head && known[index] == message -> found = index; break
        :: index <= head && known[index] != message -> index++
        :: else -> break
        od;
#endif
        if
        :: (answered[message] != 0 && !isHandedOver[message]) ||
            (message == MESSAGES && !isAfterFaults) -> message = 0      /* nothing to do */
        :: else ->
            if
            :: found != 0 ->
                accept(message);
                number = found;
                offset = store[server].writes;
                isWaiting = true
            :: found == 0 && (isFenced(server, me, epoch) || isBehind(server, head)) ->
                /* Another owner claimed the shard, or Redis lost data: the request is retried. */
                message = 0;
                epoch = 0;
                isLoaded = false
            :: else ->
                append(server, message);
                accept(message);
                head++;
                known[head] = message;
                number = head;
                offset = store[server].writes;
                isWaiting = true
            fi
        fi
    }

    /* A view names another owner: the node releases the shard when no write is in flight. */
    :: atomic {
        !isDead[me] && viewOwner != me && epoch > 0 && !isWaiting -> epoch = 0; isLoaded = false
    }

    /* The connection breaks: the node connects to the master, and reads the stream before it
     * retries. If acknowledged messages are missing there, the owner appends them, and any other
     * node hands them over to the owner. */
    :: atomic {
        !isDead[me] && server != master ->
        server = master;
        isWaiting = false;
        message = 0;
        epoch = 0;
        isLoaded = false;
#ifndef NO_REPAIR
        number = 1;
        do
        :: number <= head ->
            find(server, known[number], found);
            if
            :: found == 0 && answered[known[number]] != 0 && !isHandedOver[known[number]] ->
                isHandedOver[known[number]] = true;
                pendingHandovers++
            :: else
            fi;
            number++
        :: else -> break
        od;
#endif
        number = 0
    }
    od
}

init {
    byte node, index, found, message;
    atomic {
        store[0].owner = NO_OWNER;
        store[1].owner = NO_OWNER;
        node = 0;
        do
        :: node < NODES -> run Node(node); node++
        :: else -> break
        od;
        node = 0
    }
    do
    :: atomic {
        kills < KILLS && NODES > 1 -> kills++;
        select(node : 0 .. (NODES - 1));
        isDead[node] = true;
        node = 0
    }
    :: atomic {
        isDead[viewOwner] -> node = 0;
        do
        :: isDead[node] -> node++
        :: else -> break
        od;
        viewOwner = node;
        node = 0
    }
    :: atomic {
        handovers < HANDOVERS && !isDead[viewOwner] -> handovers++;
        select(node : 0 .. (NODES - 1));
        if
        :: !isDead[node] -> viewOwner = node
        :: else
        fi;
        node = 0
    }
    :: atomic {
        failovers < FAILOVERS && hasReplica ->
        failovers++;
        master = other(master);
        hasReplica = false;
#if STRICT
        message = 1;
        do
        :: message <= MESSAGES ->
            /* No acknowledged message is lost. */
            assert(answered[message] == 0 || (store[master].head >= answered[message] &&
                store[master].log[answered[message]] == message));
            message++
        :: else -> break
        od;
        message = 0
#endif
    }
    :: atomic {
        !hasReplica || store[0].writes != store[1].writes ->
        store[other(master)].epoch = store[master].epoch;
        store[other(master)].owner = store[master].owner;
        store[other(master)].head = store[master].head;
        store[other(master)].writes = store[master].writes;
        index = 0;
        do
        :: index < MESSAGES + 2 ->
            store[other(master)].log[index] = store[master].log[index];
            index++
        :: else -> break
        od;
        index = 0;
        hasReplica = true
    }
    :: timeout -> break
    od;
    /* No process has a step left: every message is stored and answered, including the last one. */
    message = 1;
    do
    :: message <= MESSAGES ->
        find(master, message, found);
        assert(found != 0);
        assert(answered[message] != 0);
#if STRICT
        assert(answered[message] == found);
#endif
        message++
    :: else -> break
    od
}

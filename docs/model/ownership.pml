/* Who may write a shard, and that nothing answered is lost: claim, append, hand-over, take-over and failover, in small.
 *
 *   script/model     checks this, and that every rule in it is needed: without it the check has to fail
 *
 * One shard with one conversation; some nodes; Redis as a master with one replica. A store is what one Redis server holds: the
 * shard's epoch and owner, and the stream. The replica is at any time an earlier state of the master. A failover makes it the master
 * as it is; the old master goes on answering whoever is connected to it until it follows the new one.
 *
 * A node acts on what it believes: the server that it is connected to, its epoch, the stream as it last knew it. Each of its steps may
 * come as late as it likes: a frozen node that wakes up is one whose next step came late. A call to Redis is one step, the use of its
 * answer another; the calls of one script are one step.
 */

#ifndef NODES
#define NODES 2
#endif
#ifndef MESSAGES
#define MESSAGES 2
#endif
#ifndef HANDOVERS
#define HANDOVERS 2     /* changes of the view beside those that a death brings */
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef FAILOVERS
#define FAILOVERS 1
#endif
#ifndef WAIT
#define WAIT 1          /* claims and answers wait for the replica; 0: a failover may lose what was answered */
#endif
#ifndef STRICT
#define STRICT WAIT     /* an answered message never disappears, nor changes its number; 0: it is there again in the end */
#endif

/* The rules, each of which can be broken by -D. */
#ifdef NO_FENCE
#define isFenced(server, me, epoch) false
#else
#define isFenced(server, me, epoch) (store[server].epoch != epoch || store[server].owner != me)
#endif
#ifdef NO_HEAD
#define isBehind(server, head) false
#else
#define isBehind(server, head) (store[server].head != head)
#endif

#define NOBODY 255
/* The last message is sent when nothing more goes wrong: that it is answered says that the shard is owned again. */
#define isCalm (kills == KILLS && failovers == FAILOVERS && handovers == HANDOVERS && !isDead[viewOwner])
#define other(server) (1 - (server))
/* An old master that follows the new one takes no writes. */
#define takesWrites(server) (server == master || !isFollowed)
#define isReplicated(server, offset) (WAIT == 0 || (server == master && isFollowed && store[other(server)].writes >= offset))

typedef Store {
    byte epoch;
    byte owner;
    byte head;
    byte log[MESSAGES + 2];     /* log[n] is the message with the number n */
    byte writes                 /* the replication offset */
};

Store store[2];
byte master;
bool isFollowed = true;         /* the other server is the master's replica */
byte viewOwner;                 /* the shard's owner in the newest view */
bool isDead[NODES];
byte answered[MESSAGES + 1];    /* the number that a message was answered with; 0: it was not */
bool isHanded[MESSAGES + 1];    /* a node that is not the owner has it, it was answered, and the stream had lost it */
byte kills, failovers, handovers;
byte unanswered = MESSAGES;     /* messages that are asked for still */
byte unhanded;                  /* messages that were handed over and not taken */

/* Sets `found` to the number of a message in a server's stream; 0 where it is not there. */
inline find(server, message, found) {
    found = 0;
    place = 1;
    do
    :: place <= store[server].head && store[server].log[place] == message -> found = place; break
    :: place <= store[server].head && store[server].log[place] != message -> place++
    :: else -> break
    od
}

/* The script of an append, for one message. The fence was looked at in the same step. */
inline append(server, message) {
    find(server, message, found);
    assert(found == 0);         /* the same client id never makes two messages */
    store[server].head++;
    store[server].log[store[server].head] = message;
    store[server].writes++
}

/* Whoever handed a message over keeps it until the owner has stored it: one that only seems to be the owner must not take it. */
inline taken(message) {
    if
    :: isHanded[message] -> isHanded[message] = false; unhanded--
    :: else
    fi
}

proctype Node(byte me) {
    byte server;                /* the one that it is connected to */
    byte epoch;                 /* of its claim; 0 where it has none */
    bool isLoaded;              /* it knows the stream */
    bool isWaiting;             /* for the replica to have `offset` */
    byte offset;
    byte head, known[MESSAGES + 2];     /* the stream as it knows it, and what it holds of it later */
    byte message, number, place, found;

end:
    do
    :: isDead[me] -> break

    /* The shard is its own in the newest view: it claims it, and is refused by nobody. */
    :: atomic {
        !isDead[me] && viewOwner == me && epoch == 0 && takesWrites(server) ->
        store[server].epoch++;
        store[server].owner = me;
        store[server].writes++;
        epoch = store[server].epoch;
        offset = store[server].writes;
        isWaiting = true;
        isLoaded = false
    }

    /* What it waits for has come. */
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

    /* It reads the stream, and appends what that has lost of what it holds itself. */
    :: atomic {
        !isDead[me] && epoch > 0 && !isLoaded && !isWaiting && takesWrites(server) ->
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
            place = 1;
            do
            :: place <= head -> known[place] = store[server].log[place]; place++
            :: else -> break
            od;
            offset = store[server].writes;
            isWaiting = true;
            isLoaded = true
        fi;
        number = 0
    }

    /* A message comes, or comes again, or was handed over. One that is in the stream is not appended twice. */
    :: atomic {
        !isDead[me] && isLoaded && !isWaiting && takesWrites(server) && unanswered + unhanded > 0 ->
        select(message : 1 .. MESSAGES);
        place = 1;
        found = 0;
#ifndef NO_MEMORY
        do
        :: place <= head && known[place] == message -> found = place; break
        :: place <= head && known[place] != message -> place++
        :: else -> break
        od;
#endif
        if
        :: (answered[message] != 0 && !isHanded[message]) || (message == MESSAGES && !isCalm) -> message = 0     /* nothing to do */
        :: else ->
            if
            :: found != 0 ->
                taken(message);
                number = found;
                offset = store[server].writes;
                isWaiting = true
            :: found == 0 && (isFenced(server, me, epoch) || isBehind(server, head)) ->
                /* Replaced, or Redis has forgotten: what was asked is asked again. */
                message = 0;
                epoch = 0;
                isLoaded = false
            :: else ->
                append(server, message);
                taken(message);
                head++;
                known[head] = message;
                number = head;
                offset = store[server].writes;
                isWaiting = true
            fi
        fi
    }

    /* A view says that it is another's: it lets go when nothing is in flight. */
    :: atomic {
        !isDead[me] && viewOwner != me && epoch > 0 && !isWaiting -> epoch = 0; isLoaded = false
    }

    /* Its connection breaks: it connects to the master, and looks at what is there before it sends again. What was answered and is
     * not there it appends as the owner, or hands to the owner. */
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
            :: found == 0 && answered[known[number]] != 0 && !isHanded[known[number]] -> isHanded[known[number]] = true; unhanded++
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
    byte node, place, found, message;
    atomic {
        store[0].owner = NOBODY;
        store[1].owner = NOBODY;
        node = 0;
        do
        :: node < NODES -> run Node(node); node++
        :: else -> break
        od;
        node = 0
    }
    do
    :: atomic { kills < KILLS && NODES > 1 -> kills++; select(node : 0 .. (NODES - 1)); isDead[node] = true; node = 0 }
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
        failovers < FAILOVERS && isFollowed ->
        failovers++;
        master = other(master);
        isFollowed = false;
#if STRICT
        message = 1;
        do
        :: message <= MESSAGES ->
            /* Nothing answered is lost. */
            assert(answered[message] == 0 || (store[master].head >= answered[message] && store[master].log[answered[message]] == message));
            message++
        :: else -> break
        od;
        message = 0
#endif
    }
    :: atomic {
        !isFollowed || store[0].writes != store[1].writes ->
        store[other(master)].epoch = store[master].epoch;
        store[other(master)].owner = store[master].owner;
        store[other(master)].head = store[master].head;
        store[other(master)].writes = store[master].writes;
        place = 0;
        do
        :: place < MESSAGES + 2 -> store[other(master)].log[place] = store[master].log[place]; place++
        :: else -> break
        od;
        place = 0;
        isFollowed = true
    }
    :: timeout -> break
    od;
    /* Nobody can do anything any more: everything is stored and answered, also what was sent last. */
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

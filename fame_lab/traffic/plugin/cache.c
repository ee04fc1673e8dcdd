#include "cache.h"

#include "fabric.h"

enum { LINE = 1 << LINE_SHIFT };

/* A set: for each of its ways, which line it has (and 1 more: 0 is no line), which bytes of it the node loaded and
 * stored since it came, and when it was used last. */
struct set {
	uint64_t *lines, *loaded, *stored, *used;
};

/* One access to one line. */
struct step {
	struct cache *cache;
	struct set set;
	uint64_t line, bytes;
	int access;
};

static struct set set_of(const struct cache *cache, uint64_t line)
{
	const struct directory_header *header = cache->directory.header;
	uint64_t ways = header->ways;
	uint64_t *first = node_ways(&cache->directory, cache->node) + (line & (header->sets - 1)) * ways * 4;
	return (struct set){first, first + ways, first + 2 * ways, first + 3 * ways};
}

static void count(const struct step *step, enum count what, uint64_t times)
{
	node_count(&step->cache->directory, step->cache->node, what, step->line, times);
}

static struct node_totals *totals(const struct cache *cache)
{
	return node_totals(&cache->directory, cache->node);
}

static uint32_t ways_of(const struct cache *cache)
{
	return cache->directory.header->ways;
}

static int coherent(const struct cache *cache)
{
	return cache->directory.header->hardware != 0;
}

/* The way that has the line; as many as there are if none has. */
static uint32_t way_with(const struct step *step)
{
	struct cache *cache = step->cache;
	uint32_t ways = ways_of(cache), way = 0;
	if (cache->recent_line == step->line && cache->recent_way < ways &&
	    step->set.lines[cache->recent_way] == step->line + 1)
		return cache->recent_way;
	while (way < ways && step->set.lines[way] != step->line + 1)
		way++;
	return way;
}

/* The node learns that it lost a way's line. */
static void lose(struct cache *cache, struct set set, uint32_t way, struct before now)
{
	uint64_t line = set.lines[way] - 1, own = set.loaded[way] | set.stored[way];
	struct loss *loss = node_loss(&cache->directory, cache->node, line);
	loss->takers |= UINT64_C(1) << now.taker;
	loss->own_bytes |= own;
	loss->taken_bytes |= now.bytes;
	if (own & now.bytes)
		loss->sharing++;
	else
		loss->false_sharing++;
	*node_past(&cache->directory, cache->node, line) = LOST;
	set.lines[way] = 0;
	totals(cache)->losses++;
}

/* Compares the whole set with the directory. */
static void learn(struct cache *cache, struct set set)
{
	for (uint32_t way = 0; way < ways_of(cache); way++) {
		if (set.lines[way] == 0 || directory_has(&cache->directory, cache->node, set.lines[way] - 1))
			continue;
		struct before now = directory_look(&cache->directory, cache->node, set.lines[way] - 1);
		if (!now.held)
			lose(cache, set, way, now);
	}
}

static void evict(struct cache *cache, struct set set, uint32_t way)
{
	uint64_t line = set.lines[way] - 1;
	int dirty = set.stored[way] != 0;
	if (coherent(cache)) {
		struct before before = directory_leave(&cache->directory, cache->node, line);
		if (!before.held) { /* just now */
			lose(cache, set, way, before);
			return;
		}
		dirty = before.state == MODIFIED;
	}
	if (dirty)
		node_write_back(&cache->directory, cache->node, line);
	*node_past(&cache->directory, cache->node, line) = EVICTED;
	set.lines[way] = 0;
	totals(cache)->evictions++;
}

/* A way without a line: there is one, or the least recently used loses its own. */
static uint32_t room(const struct step *step)
{
	struct set set = step->set;
	uint32_t oldest = 0;
	for (uint32_t way = 0; way < ways_of(step->cache); way++) {
		if (set.lines[way] == 0)
			return way;
		if (set.used[way] < set.used[oldest])
			oldest = way;
	}
	evict(step->cache, set, oldest);
	return oldest;
}

static void use(const struct step *step, uint32_t way)
{
	step->cache->recent_line = step->line;
	step->cache->recent_way = way;
	step->set.used[way] = totals(step->cache)->accesses;
	if (step->access & ACCESS_LOAD)
		step->set.loaded[way] |= step->bytes;
	if (step->access & ACCESS_STORE)
		step->set.stored[way] |= step->bytes;
}

static void install(const struct step *step)
{
	uint32_t way = room(step);
	step->set.lines[way] = step->line + 1;
	step->set.loaded[way] = step->set.stored[way] = 0;
	use(step, way);
}

static void count_invalidations(const struct step *step, uint64_t victims)
{
	if (!victims)
		return;
	count(step, INVALIDATE, (uint64_t)__builtin_popcountll(victims));
	for (; victims; victims &= victims - 1)
		totals(step->cache)->invalidations[__builtin_ctzll(victims)]++;
}

static void count_cause(const struct step *step)
{
	static const enum count causes[] = {[NEVER_HAD] = COLD, [EVICTED] = CAPACITY, [LOST] = COHERENCE};
	uint8_t past = *node_past(&step->cache->directory, step->cache->node, step->line);
	count(step, causes[past <= LOST ? past : LOST], 1);
}

static void count_miss(const struct step *step, struct before before)
{
	int store = step->access & ACCESS_STORE;
	count_cause(step);
	if (before.state == MODIFIED && before.others) {
		count(step, FORWARD, 1);
		if (!store)
			node_write_back(&step->cache->directory, (unsigned)__builtin_ctzll(before.others), step->line);
	} else {
		count(step, store ? FILL_OWNERSHIP : FILL, 1);
	}
	if (store)
		count_invalidations(step, before.others);
}

/* Each of these returns whether the line had to come from elsewhere. */
static int access_coherent(const struct step *step)
{
	struct cache *cache = step->cache;
	struct directory *directory = &cache->directory;
	int store = step->access & ACCESS_STORE;
	uint32_t ways = ways_of(cache), way = way_with(step);
	if (way < ways) {
		struct before now = directory_look(directory, cache->node, step->line);
		if (now.held && (!store || now.state == MODIFIED)) {
			use(step, way);
			return 0;
		}
		if (!now.held)
			way = ways;
	}
	if (way == ways)
		learn(cache, step->set);
	struct before before = store ? directory_store(directory, cache->node, step->line, step->bytes)
				     : directory_load(directory, cache->node, step->line);
	if (way < ways && before.held) {
		if (before.state == SHARED) {
			count(step, UPGRADE, 1);
			count_invalidations(step, before.others);
		}
		use(step, way);
		return 0;
	}
	if (way < ways) { /* lost since it was looked at */
		lose(cache, step->set, way, before);
		learn(cache, step->set);
	}
	count_miss(step, before);
	install(step);
	return 1;
}

static int access_incoherent(const struct step *step)
{
	uint32_t way = way_with(step);
	if (way < ways_of(step->cache)) {
		use(step, way);
		return 0;
	}
	count_cause(step);
	count(step, FILL, 1);
	install(step);
	return 1;
}

/* The home's memory does it, with the newest bytes there: who changed the line writes it back, and nobody keeps it. */
static int access_memory(const struct step *step)
{
	struct cache *cache = step->cache;
	uint32_t way = way_with(step);
	int had = way < ways_of(cache), dirty = had && step->set.stored[way] != 0;
	if (coherent(cache)) {
		struct before before = directory_take(&cache->directory, cache->node, step->line, step->bytes);
		if (had && !before.held) {
			lose(cache, step->set, way, before);
			had = 0;
		}
		dirty = before.held && before.state == MODIFIED;
		if (before.state == MODIFIED && before.others)
			node_write_back(&cache->directory, (unsigned)__builtin_ctzll(before.others), step->line);
		count_invalidations(step, before.others);
	}
	if (dirty)
		node_write_back(&cache->directory, cache->node, step->line);
	if (had) {
		step->set.lines[way] = 0;
		*node_past(&cache->directory, cache->node, step->line) = LOST;
		totals(cache)->drops++;
	}
	count(step, ATOMIC, 1);
	return 1;
}

static void access_line(struct cache *cache, uint64_t line, uint64_t bytes, int access)
{
	struct step step = {cache, set_of(cache, line), line, bytes, access};
	const struct directory_header *header = cache->directory.header;
	uint64_t since = header->waits ? fabric_now() : 0;
	int moved;
	while (cache->shared && atomic_flag_test_and_set_explicit(&cache->busy, memory_order_acquire))
		;
	totals(cache)->accesses++;
	if (access & ACCESS_LOCKED && header->memory_atomics)
		moved = access_memory(&step);
	else if (coherent(cache))
		moved = access_coherent(&step);
	else
		moved = access_incoherent(&step);
	if (cache->shared)
		atomic_flag_clear_explicit(&cache->busy, memory_order_release);
	if (moved && since)
		fabric_wait(&cache->directory, cache->node, line, since);
}

void cache_access(struct cache *cache, uint64_t offset, uint64_t size, int access)
{
	while (size > 0 && offset >> LINE_SHIFT < cache->directory.lines) {
		uint64_t begin = offset % LINE, here = LINE - begin < size ? LINE - begin : size;
		uint64_t bytes = (here == LINE ? ~UINT64_C(0) : (UINT64_C(1) << here) - 1) << begin;
		access_line(cache, offset >> LINE_SHIFT, bytes, access);
		offset += here;
		size -= here;
	}
}

int cache_open(struct cache *cache, const char *path, unsigned node, unsigned vcpus)
{
	*cache = (struct cache){.node = node, .shared = vcpus > 1, .busy = ATOMIC_FLAG_INIT};
	return directory_open(&cache->directory, path) != 0 || node >= cache->directory.header->nodes;
}

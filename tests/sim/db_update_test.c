/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a collection whose settings are changed becomes what it would be had it been created with
 * them; until then, and for readers that began before, it answers as ever.
 * Method: one collection is indexed, then updated again and again. After each update what its
 * segments have is looked at inside, before and after maintenance, and exact answers are compared
 * with those of the beginning. */
#include <string.h>

#include "base/str.h"
#include "db/choose.h"
#include "index/hnsw_links.h"
#include "model/config.h"
#include "model/point_id.h"
#include "segment/graph.h"
#include "sim/model.h"
#include "unit/base_heap.h"
#include "unit/test.h"

enum { POINTS = 900, DIM = 16, QUERIES = 10, LIMIT = 10 };

static const char config_text[] =
    "{\"vectors\":{\"a\":{\"size\":16,\"distance\":\"Dot\"},"
    "\"b\":{\"size\":16,\"distance\":\"Euclid\",\"hnsw_config\":{\"m\":6}}},"
    "\"hnsw_config\":{\"m\":4,\"ef_construct\":20,\"full_scan_threshold\":10},"
    "\"optimizers_config\":{\"indexing_threshold\":10}}";

static oct_vfs *vfs;
static sim_world world;
static oct_collection *collection;
static oct_arena arena;
static oct_error error;
static float queries[QUERIES][DIM];
static oct_point_id answers[QUERIES][LIMIT];

static oct_status send(const char *verb, const char *path, const char *body)
{
    oct_call_request request = { .verb = verb, .path = oct_str_of(path), .body = oct_str_of(body) };
    oct_reply reply;
    oct_call(world.db, &request, &reply);
    oct_reply_free(world.db, &reply);
    return reply.status;
}

static oct_status update(const char *body)
{
    return send("PATCH", "/collections/c", body);
}

static void pin(void)
{
    CHECK(oct_db_pin(world.db, OCT_STR("c"), &collection, &error) == OCT_OK);
    oct_arena_init(&arena, oct_db_alloc(world.db), 0);
}

static void unpin(void)
{
    oct_arena_reset(&arena);
    oct_db_unpin(collection);
}

static void fill(void)
{
    for (uint32_t i = 0; i < POINTS; i++) {
        float values[DIM];
        oct_write_result result;
        for (uint32_t d = 0; d < DIM; d++)
            values[d] = test_random_float();
        const oct_named_vector vectors[] = {
            { .name = OCT_STR("a"), .values = values, .count = DIM },
            { .name = OCT_STR("b"), .values = values, .count = DIM },
        };
        const oct_point point = { .id = oct_point_id_of(i),
                                  .vectors = vectors,
                                  .vector_count = 2,
                                  .payload = i % 3 ? OCT_STR("{\"t\":1,\"k\":\"a\"}")
                                                   : OCT_STR("{\"t\":2,\"k\":\"b\"}") };
        const oct_write write = { .kind = OCT_WRITE_UPSERT, .points = &point, .point_count = 1 };
        CHECK(oct_collection_write(collection, &arena, &write, &result, &error) == OCT_OK);
        oct_arena_reset(&arena);
    }
}

static void ask(uint32_t q, const char *name, bool exact, oct_found *found)
{
    const oct_query query = { .kind = OCT_QUERY_VECTOR,
                              .vector = queries[q],
                              .vector_count = DIM,
                              .using_vector = oct_str_of(name),
                              .hnsw_ef = 64,
                              .exact = exact,
                              .quantization = { .has_rescore = true, .rescore = true },
                              .limit = LIMIT };
    CHECK(oct_collection_query(collection, &arena, &query, found, &error) == OCT_OK);
}

/* Exact answers are those of the beginning, and other answers have most of them. */
static void compare(void)
{
    uint32_t common = 0;
    for (uint32_t q = 0; q < QUERIES; q++) {
        oct_found exact, near;
        ask(q, "a", true, &exact);
        ask(q, "a", false, &near);
        CHECK(exact.count == LIMIT && near.count == LIMIT);
        for (uint32_t i = 0; i < LIMIT; i++) {
            CHECK(oct_point_id_equal(exact.points[i].id, answers[q][i]));
            for (uint32_t j = 0; j < LIMIT; j++)
                common += oct_point_id_equal(near.points[j].id, answers[q][i]);
        }
        oct_arena_reset(&arena);
    }
    if (common * 10 < QUERIES * LIMIT * 7) printf("  %u of %u\n", common, QUERIES * LIMIT);
    CHECK(common * 10 >= QUERIES * LIMIT * 7);
}

static void settle(void)
{
    CHECK(sim_settle(&world, 1000, &error) == OCT_OK);
}

static void begin(uint32_t points_max)
{
    CHECK(oct_vfs_memory_create(heap_start(), &vfs, &error) == OCT_OK);
    sim_init(&world, &heap_counting.alloc, vfs);
    world.options.appendable_points_max = points_max;
    CHECK(sim_open(&world, &error) == OCT_OK);
    CHECK(send("PUT", "/collections/c", config_text) == OCT_OK);
    pin();
    fill();
    for (uint32_t q = 0; q < QUERIES; q++) {
        oct_found found;
        for (uint32_t d = 0; d < DIM; d++)
            queries[q][d] = test_random_float();
        ask(q, "a", true, &found);
        CHECK(found.count == LIMIT);
        for (uint32_t i = 0; i < LIMIT; i++)
            answers[q][i] = found.points[i].id;
        oct_arena_reset(&arena);
    }
}

static void end(void)
{
    unpin();
    sim_close(&world);
    oct_vfs_memory_destroy(vfs);
    CHECK(heap_is_empty());
}

/* The sealed part of a vector in the largest segment. */
static const oct_sealed_vector *sealed(uint32_t v)
{
    const oct_view *view = collection->view;
    const oct_sealed *best = NULL;
    for (uint32_t i = 0; i < view->count; i++)
        if (view->entries[i].sealed && (!best || view->entries[i].count > best->count))
            best = view->entries[i].sealed;
    return best ? &best->vectors[v] : NULL;
}

static uint32_t m_of(uint32_t v)
{
    const oct_sealed_vector *vector = sealed(v);
    return vector && vector->graph ? oct_hnsw_graph_params(vector->graph).m : 0;
}

static oct_collection_status status_now(void)
{
    oct_collection_info info;
    CHECK_OR(OCT_COLLECTION_RED,
             oct_collection_describe(collection, &arena, &info, &error) == OCT_OK);
    return info.status;
}

/* The update makes work, which is done afterwards; answers are right before and after. */
static void update_and_settle(const char *body)
{
    CHECK(update(body) == OCT_OK);
    CHECK(status_now() == OCT_COLLECTION_YELLOW);
    compare();
    settle();
    CHECK(status_now() == OCT_COLLECTION_GREEN);
    compare();
}

static void no_work(const char *body)
{
    const oct_sealed_vector *before = sealed(0);
    CHECK(update(body) == OCT_OK);
    CHECK(status_now() == OCT_COLLECTION_GREEN);
    CHECK(sealed(0) == before);
    compare();
}

TEST(graphs_follow_the_settings)
{
    begin(450);
    settle();
    CHECK(m_of(0) == 4 && m_of(1) == 6);
    update_and_settle("{\"hnsw_config\":{\"m\":8}}");
    CHECK(m_of(0) == 8 && m_of(1) == 6); /* b has its own */
    update_and_settle("{\"vectors\":{\"b\":{\"hnsw_config\":{\"m\":5}}}}");
    CHECK(m_of(0) == 8 && m_of(1) == 5);
    update_and_settle("{\"hnsw_config\":{\"ef_construct\":30}}");
    CHECK(oct_hnsw_graph_params(sealed(0)->graph).ef_construct == 30);
    no_work("{\"hnsw_config\":{\"payload_m\":0,\"max_indexing_threads\":1},"
            "\"metadata\":{\"a\":1},\"optimizers_config\":{\"deleted_threshold\":0.5}}");
    update_and_settle("{\"hnsw_config\":{\"m\":0}}");
    CHECK(m_of(0) == 0 && m_of(1) == 5);
    update_and_settle("{\"hnsw_config\":{\"m\":7}}");
    CHECK(m_of(0) == 7);
    update_and_settle("{\"hnsw_config\":{\"inline_storage\":false}}");
    CHECK(!oct_hnsw_graph_params(sealed(0)->graph).codes);
    update_and_settle("{\"hnsw_config\":{\"inline_storage\":true}}");
    CHECK(oct_hnsw_graph_params(sealed(0)->graph).codes);
    no_work("{\"optimizers_config\":{\"indexing_threshold\":100000}}"); /* what is there stays */
    CHECK(m_of(0) == 7);
    no_work("{\"optimizers_config\":{\"indexing_threshold\":10}}");
    end();
}

/* Links within payload blocks that vector v has. */
static uint32_t links_of(uint32_t v)
{
    const oct_sealed_vector *vector = sealed(v);
    return vector && vector->graph ? oct_hnsw_links_count(vector->graph) : 0;
}

/* The request makes work: the segment is written anew, its graphs without a distance computed. */
static void relink(const char *verb, const char *path, const char *body)
{
    bool more = true;
    const oct_sealed_vector *before = sealed(0);
    CHECK(send(verb, path, body) == OCT_OK);
    CHECK(status_now() == OCT_COLLECTION_YELLOW);
    compare();
    while (more) {
        CHECK_OR(, oct_maintain(world.db, 0, &more, &error) == OCT_OK);
        if (collection->merge.build) CHECK_EQ_U64(oct_build_distances(collection->merge.build), 0);
    }
    CHECK(sealed(0) != before && m_of(0) == 4 && m_of(1) == 6);
    CHECK(status_now() == OCT_COLLECTION_GREEN);
    CHECK(oct_collection_check(collection, &error) == OCT_OK);
    compare();
}

static void no_relink(const char *verb, const char *path, const char *body)
{
    CHECK(send(verb, path, body) == OCT_OK);
    CHECK(status_now() == OCT_COLLECTION_GREEN);
}

TEST(block_links_follow_indexes_and_settings)
{
    const char *path = "/collections/c", *indexes = "/collections/c/index";
    const char *plain = "{\"field_name\":\"t\",\"field_schema\":\"integer\"}";
    const char *tenant = "{\"field_name\":\"t\",\"field_schema\":"
                         "{\"type\":\"integer\",\"is_principal\":true}}";
    begin(450);
    settle();
    no_relink("PATCH", path, "{\"hnsw_config\":{\"payload_m\":3}}"); /* there is no index yet */
    CHECK(links_of(0) == 0 && links_of(1) == 0);
    relink("PUT", indexes, plain);
    uint32_t links = links_of(0);
    CHECK(links > 0 && links_of(1) > 0);
    no_relink("PUT", indexes, plain);
    no_relink("PUT", indexes, tenant); /* not for links */
    CHECK(links_of(0) == links);
    relink("PATCH", path, "{\"hnsw_config\":{\"payload_m\":5}}");
    CHECK(links_of(0) > links);
    relink("PATCH", path, "{\"hnsw_config\":{\"full_scan_threshold\":20}}");
    CHECK(links_of(0) > 0 && links_of(0) != links); /* the smaller block has none now */
    relink("PUT", indexes,
           "{\"field_name\":\"t\",\"field_schema\":"
           "{\"type\":\"integer\",\"enable_hnsw\":false}}");
    CHECK(links_of(0) == 0);
    no_relink("DELETE", "/collections/c/index/t", "");
    relink("PUT", indexes, plain);
    CHECK(links_of(0) > 0);
    relink("DELETE", "/collections/c/index/t", "");
    CHECK(links_of(0) == 0);
    end();
}

TEST(block_links_follow_tenants)
{
    const char *path = "/collections/c", *indexes = "/collections/c/index";
    const char *plain = "{\"field_name\":\"k\",\"field_schema\":\"keyword\"}";
    begin(450);
    settle();
    no_relink("PUT", indexes, plain);
    relink("PUT", indexes,
           "{\"field_name\":\"k\",\"field_schema\":"
           "{\"type\":\"keyword\",\"is_tenant\":true}}");
    CHECK(links_of(0) > 0 && links_of(1) > links_of(0)); /* b has a larger m */
    no_relink("PATCH", path, "{\"hnsw_config\":{\"full_scan_threshold\":20}}");
    relink("PUT", indexes, plain);
    CHECK(links_of(0) == 0 && links_of(1) == 0);
    end();
}

TEST(indexing_begins_when_it_is_turned_on)
{
    begin(450);
    CHECK(update("{\"optimizers_config\":{\"indexing_threshold\":0}}") == OCT_OK);
    settle();
    CHECK(m_of(0) == 0);
    update_and_settle("{\"optimizers_config\":{\"indexing_threshold\":10}}");
    CHECK(m_of(0) == 4);
    end();
}

TEST(codes_follow_the_settings)
{
    begin(450);
    settle();
    CHECK(!sealed(0)->quant && !sealed(1)->quant);
    update_and_settle("{\"quantization_config\":{\"scalar\":{\"type\":\"int8\"}}}");
    CHECK(oct_quant_params_get(sealed(0)->quant).kind == OCT_QUANTIZATION_SCALAR);
    update_and_settle("{\"vectors\":{\"a\":{\"quantization_config\":{\"turbo\":{}}}}}");
    CHECK(oct_quant_params_get(sealed(0)->quant).kind == OCT_QUANTIZATION_TURBO);
    CHECK(oct_quant_params_get(sealed(1)->quant).kind == OCT_QUANTIZATION_SCALAR);
    update_and_settle(
        "{\"quantization_config\":{\"scalar\":{\"type\":\"int8\",\"always_ram\":true}}}");
    update_and_settle("{\"quantization_config\":\"Disabled\"}");
    CHECK(oct_quant_params_get(sealed(0)->quant).kind == OCT_QUANTIZATION_TURBO);
    CHECK(!sealed(1)->quant);
    update_and_settle("{\"vectors\":{\"a\":{\"quantization_config\":\"Disabled\"}}}");
    CHECK(!sealed(0)->quant && m_of(0) == 4);
    end();
}

TEST(parts_are_placed_anew)
{
    begin(450);
    vfs->caps &= ~(uint32_t)OCT_CAP_VIEW; /* else cold payloads are mapped, as others are */
    settle();
    CHECK(!sealed(0)->flat.read && sealed(1)->flat.rows);
    update_and_settle("{\"vectors\":{\"a\":{\"on_disk\":true}}}");
    CHECK(sealed(0)->flat.read && !sealed(1)->flat.read);
    update_and_settle("{\"vectors\":{\"a\":{\"memory\":\"cached\"}}}"); /* counts before on_disk */
    CHECK(!sealed(0)->flat.read);
    update_and_settle("{\"hnsw_config\":{\"memory\":\"cold\"}}");
    no_work("{\"hnsw_config\":{\"on_disk\":false}}");
    no_work("{\"params\":{\"payload\":{\"memory\":\"cold\"}}}"); /* as it was */
    update_and_settle("{\"params\":{\"payload\":{\"memory\":\"cached\"}}}");
    end();
}

TEST(a_reader_keeps_what_it_began_with)
{
    oct_read_session session;
    begin(450);
    CHECK(oct_read_begin(collection, &arena, &session, &error) == OCT_OK);
    CHECK(update("{\"hnsw_config\":{\"m\":9},\"metadata\":{\"a\":1}}") == OCT_OK);
    CHECK(update("{\"hnsw_config\":{\"m\":10}}") == OCT_OK);
    CHECK(session.reading.config->hnsw.m == 4 && session.reading.config->metadata.bytes == 0);
    CHECK(collection->view->settings->config->hnsw.m == 10);
    oct_read_end(collection, &session);
    end();
}

/* A merge that was begun before an update is not taken for one that was made for it. */
TEST(a_merge_under_way_is_dropped)
{
    bool more = true;
    begin(450);
    for (uint32_t i = 0; i < 10000 && !collection->merge.build; i++)
        CHECK(oct_maintain(world.db, 0, &more, &error) == OCT_OK);
    CHECK(collection->merge.build != NULL);
    CHECK(update("{\"metadata\":{\"a\":1}}") == OCT_OK); /* has nothing to do with it */
    const oct_build *build = collection->merge.build;
    CHECK(oct_maintain(world.db, 0, &more, &error) == OCT_OK);
    CHECK(collection->merge.build == build);
    CHECK(update("{\"hnsw_config\":{\"m\":9}}") == OCT_OK);
    CHECK(oct_maintain(world.db, 0, &more, &error) == OCT_OK);
    CHECK(!collection->merge.build || collection->merge.settings == collection->view->settings);
    settle();
    CHECK(m_of(0) == 9);
    compare();
    for (uint32_t i = 0; i < 10000 && !collection->merge.build; i++) {
        CHECK(update(i % 2 ? "{\"hnsw_config\":{\"m\":9}}" : "{\"hnsw_config\":{\"m\":4}}") ==
              OCT_OK);
        CHECK(oct_maintain(world.db, 0, &more, &error) == OCT_OK);
    }
    CHECK(collection->merge.build != NULL);
    CHECK(update("{\"hnsw_config\":{\"m\":9}}") == OCT_OK); /* so that nothing is due any more */
    CHECK(oct_collection_has_work(collection));
    settle();
    CHECK(!collection->merge.build && m_of(0) == 9);
    end();
}

TEST(settings_outlive_a_restart)
{
    begin(450);
    CHECK(update("{\"hnsw_config\":{\"m\":9}}") == OCT_OK);
    unpin();
    sim_close(&world);
    CHECK(sim_open(&world, &error) == OCT_OK);
    pin();
    CHECK(collection->view->settings->config->hnsw.m == 9);
    settle();
    CHECK(m_of(0) == 9);
    compare();
    end();
}

TEST(what_is_refused_changes_nothing)
{
    begin(450);
    settle();
    const oct_settings *before = collection->view->settings;
    CHECK(update("{\"hnsw_config\":{\"m\":9},\"vectors\":{\"x\":{}}}") == OCT_BAD_INPUT);
    CHECK(update("{\"hnsw_config\":{\"m\":9,\"ef_construct\":1}}") == OCT_VALIDATION);
    CHECK(update("{\"hnsw_config\":{\"m\":4}}") == OCT_OK); /* as it is */
    CHECK(collection->view->settings == before);
    CHECK(send("PATCH", "/collections/d", "{}") == OCT_NOT_FOUND);
    end();
}

static uint32_t widest;

static void count_tasks(void *self, uint32_t tasks, void (*run)(void *arg, uint32_t task),
                        void *arg)
{
    UNUSED(self);
    widest = MAX(widest, tasks);
    for (uint32_t i = 0; i < tasks; i++)
        run(arg, i);
}

/* max_indexing_threads bounds the threads of a build. */
static uint32_t width_of(const char *settings)
{
    CHECK_OR(0, oct_vfs_memory_create(heap_start(), &vfs, &error) == OCT_OK);
    sim_init(&world, &heap_counting.alloc, vfs);
    world.options.appendable_points_max = 450;
    world.host.parallel = count_tasks;
    world.host.parallel_width = 6;
    CHECK_OR(0, sim_open(&world, &error) == OCT_OK);
    CHECK_OR(0, send("PUT", "/collections/c", config_text) == OCT_OK);
    CHECK_OR(0, update(settings) == OCT_OK);
    pin();
    fill();
    widest = 0;
    settle();
    CHECK_OR(0, m_of(0) == 4);
    end();
    return widest;
}

TEST(builds_use_the_threads_they_may)
{
    CHECK_EQ_U64(width_of("{}"), 6);
    CHECK_EQ_U64(width_of("{\"hnsw_config\":{\"max_indexing_threads\":100}}"), 6);
    CHECK_EQ_U64(width_of("{\"hnsw_config\":{\"max_indexing_threads\":2}}"), 2);
    CHECK_EQ_U64(width_of("{\"hnsw_config\":{\"max_indexing_threads\":2},"
                          "\"quantization_config\":{\"scalar\":{\"type\":\"int8\"}}}"),
                 2);
    CHECK_EQ_U64(width_of("{\"hnsw_config\":{\"max_indexing_threads\":2},"
                          "\"vectors\":{\"b\":{\"hnsw_config\":{\"max_indexing_threads\":3}}}}"),
                 3);
}

TEST_MAIN(graphs_follow_the_settings, block_links_follow_indexes_and_settings,
          block_links_follow_tenants, indexing_begins_when_it_is_turned_on,
          codes_follow_the_settings, parts_are_placed_anew, a_reader_keeps_what_it_began_with,
          a_merge_under_way_is_dropped, settings_outlive_a_restart, what_is_refused_changes_nothing,
          builds_use_the_threads_they_may)

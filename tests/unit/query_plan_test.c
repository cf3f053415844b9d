/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: each rule of the planner decides what it says, on both sides of its border.
 * Method: facts by hand. Vectors of 256 dimensions, so that one row is 1 KiB. */
#include "query/plan.h"

#include "model/config.h"
#include "model_support.h"

enum { MANY = 1000000 };

static const oct_vector_params vectors[] = { { .size = 256,
                                               .hnsw = { OCT_UNSET, OCT_UNSET, OCT_UNSET, OCT_UNSET,
                                                         OCT_UNSET, OCT_UNSET, OCT_UNSET,
                                                         OCT_UNSET } } };

static oct_collection_config config_with(uint64_t full_scan, uint64_t indexing)
{
    oct_collection_config config = { .vectors = vectors, .vector_count = 1, .single_vector = true };
    config.hnsw = (oct_hnsw_config){ OCT_UNSET, 50,        full_scan, OCT_UNSET,
                                     OCT_UNSET, OCT_UNSET, OCT_UNSET, OCT_UNSET };
    config.optimizers =
        (oct_optimizers_config){ .deleted_threshold = 0.2, .indexing_threshold = indexing };
    return config;
}

static oct_plan plan_for(const oct_query *query, oct_plan_facts facts)
{
    oct_collection_config config = config_with(2000, 3000);
    return oct_plan_search(&config, 0, query, &facts);
}

TEST(without_a_graph_is_a_scan)
{
    const oct_query query = { .hnsw_ef = OCT_UNSET };
    CHECK(plan_for(&query, (oct_plan_facts){ .selected = MANY, .wanted = 1 }).way == OCT_PLAN_SCAN);
    CHECK(plan_for(&query, (oct_plan_facts){ .selected = 1, .wanted = 1 }).way == OCT_PLAN_SCAN);
}

TEST(indexed_only_skips_what_waits_for_a_graph)
{
    const oct_query query = { .hnsw_ef = OCT_UNSET, .indexed_only = true };
    oct_plan_facts facts = { .selected = 2999, .wanted = 1 };
    CHECK(plan_for(&query, facts).way == OCT_PLAN_SCAN);
    facts.selected = 3000;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_SKIP);
    facts.quantized = true;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_SCAN);
    facts.quantized = false;
    oct_collection_config off = config_with(2000, 0);
    CHECK(oct_plan_search(&off, 0, &query, &facts).way == OCT_PLAN_SCAN);
    oct_collection_config later = config_with(5000, 3000);
    CHECK(oct_plan_search(&later, 0, &query, &facts).way == OCT_PLAN_SCAN);
    facts.has_graph = true;
    facts.points = facts.selected;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_WALK_ALL);
}

TEST(exact_is_a_scan)
{
    const oct_query query = { .hnsw_ef = OCT_UNSET, .exact = true };
    oct_plan_facts facts = { .has_graph = true, .selected = MANY, .wanted = 1 };
    CHECK(plan_for(&query, facts).way == OCT_PLAN_SCAN);
}

TEST(the_width_comes_from_query_config_or_wanted)
{
    oct_query query = { .hnsw_ef = OCT_UNSET };
    oct_plan_facts facts = { .has_graph = true, .selected = MANY, .points = MANY, .wanted = 10 };
    CHECK(plan_for(&query, facts).way == OCT_PLAN_WALK_ALL);
    CHECK_EQ_U64(plan_for(&query, facts).ef, 50);
    query.hnsw_ef = 20;
    CHECK_EQ_U64(plan_for(&query, facts).ef, 20);
    facts.wanted = 300;
    CHECK_EQ_U64(plan_for(&query, facts).ef, 300);
    query.hnsw_ef = UINT64_MAX - 1;
    CHECK_EQ_U64(plan_for(&query, facts).ef, OCT_HNSW_EF_MAX);
}

TEST(few_points_are_scanned)
{
    const oct_query query = { .hnsw_ef = 100 };
    oct_plan_facts facts = { .has_graph = true, .selected = 1000, .points = 1000, .wanted = 1 };
    CHECK(plan_for(&query, facts).way == OCT_PLAN_SCAN);
    facts.selected = facts.points = 1001;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_WALK_ALL);
    facts.wanted = 501;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_SCAN);
    facts.has_codes = true;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_SCAN);
    facts.wanted = 500; /* twice that is few enough for rows alone */
    CHECK(plan_for(&query, facts).way == OCT_PLAN_SCAN_CODES);
    facts.wanted = 1;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_SCAN_CODES);
    facts.selected = 100;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_SCAN);
    facts.selected = facts.points = 4000;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_SCAN_CODES);
    facts.selected = facts.points = 4001;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_WALK_ALL);
}

TEST(filters_scan_below_the_full_scan_threshold)
{
    const oct_query query = { .hnsw_ef = 10 };
    oct_plan_facts facts = {
        .has_graph = true, .filtered = true, .selected = 2000, .points = MANY, .wanted = 1
    };
    CHECK(plan_for(&query, facts).way == OCT_PLAN_SCAN);
    facts.has_codes = true;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_SCAN_CODES);
    facts.selected = 2001;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_WALK_ALLOWED);
    facts.selected = facts.points = 2000;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_SCAN_CODES);
    facts.filtered = false;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_WALK_ALL);
}

TEST(the_share_of_selected_points_picks_the_walk)
{
    const oct_query query = { .hnsw_ef = 10 };
    oct_plan_facts facts = { .has_graph = true,
                             .has_codes = true,
                             .filtered = true,
                             .selected = 150000,
                             .points = MANY,
                             .wanted = 1 };
    CHECK(plan_for(&query, facts).way == OCT_PLAN_WALK_ALL);
    facts.selected = 149999;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_WALK_ALLOWED);
    CHECK(oct_plan_cheapest(&facts, 749) == OCT_PLAN_WALK_ALLOWED);
    CHECK(oct_plan_cheapest(&facts, 750) == OCT_PLAN_SCAN_CODES);
}

TEST(acorn_walks_over_selected_points)
{
    oct_query query = { .hnsw_ef = 10, .acorn = { .enable = true } };
    oct_plan_facts facts = {
        .has_graph = true, .filtered = true, .selected = 400000, .points = MANY, .wanted = 1
    };
    CHECK(plan_for(&query, facts).way == OCT_PLAN_WALK_ALLOWED);
    facts.selected = 400001;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_WALK_ALL);
    query.acorn.has_max_selectivity = true;
    query.acorn.max_selectivity = 1;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_WALK_ALLOWED);
    facts.filtered = false;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_WALK_ALL);
    facts.filtered = true;
    query.exact = true;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_SCAN);
    query.exact = false;
    facts.selected = 2000; /* below the full scan threshold */
    CHECK(plan_for(&query, facts).way == OCT_PLAN_SCAN);
    query.acorn.enable = false;
    facts.selected = 400000;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_WALK_ALL);
}

TEST(linked_points_are_walked_over)
{
    const oct_query query = { .hnsw_ef = 100 };
    oct_plan_facts facts = { .has_graph = true,
                             .has_codes = true,
                             .filtered = true,
                             .linked = true,
                             .selected = 4001,
                             .points = MANY,
                             .wanted = 1 };
    CHECK(plan_for(&query, facts).way == OCT_PLAN_WALK_ALLOWED);
    facts.selected = 4000;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_SCAN_CODES);
    facts.selected = MANY / 2; /* a walk over all points would be wider */
    CHECK(plan_for(&query, facts).way == OCT_PLAN_WALK_ALLOWED);
}

TEST(without_a_whole_graph_only_linked_points_are_walked_over)
{
    const oct_query query = { .hnsw_ef = 100 };
    oct_collection_config config = config_with(2000, 3000);
    config.hnsw.m = 0;
    config.hnsw.payload_m = 16;
    oct_plan_facts facts = { .has_graph = true,
                             .has_codes = true,
                             .filtered = true,
                             .linked = true,
                             .selected = MANY / 2,
                             .points = MANY,
                             .wanted = 1 };
    CHECK(oct_plan_search(&config, 0, &query, &facts).way == OCT_PLAN_WALK_ALLOWED);
    facts.linked = false;
    CHECK(oct_plan_search(&config, 0, &query, &facts).way == OCT_PLAN_SCAN_CODES);
    facts.filtered = false;
    facts.selected = MANY;
    CHECK(oct_plan_search(&config, 0, &query, &facts).way == OCT_PLAN_SCAN_CODES);
    facts.has_codes = false;
    CHECK(oct_plan_search(&config, 0, &query, &facts).way == OCT_PLAN_SCAN);
}

TEST_MAIN(without_a_graph_is_a_scan, indexed_only_skips_what_waits_for_a_graph, exact_is_a_scan,
          the_width_comes_from_query_config_or_wanted, few_points_are_scanned,
          filters_scan_below_the_full_scan_threshold, the_share_of_selected_points_picks_the_walk,
          acorn_walks_over_selected_points, linked_points_are_walked_over,
          without_a_whole_graph_only_linked_points_are_walked_over)

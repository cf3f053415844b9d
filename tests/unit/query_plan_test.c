/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: each rule of the planner decides what it says, on both sides of its border.
 * Method: facts by hand. Vectors of 256 dimensions, so that one row is 1 KiB. */
#include "query/plan.h"

#include "model/config.h"
#include "model_support.h"

enum { MANY = 1000000 };

static const oct_vector_params vectors[] = {
    { .size = 256,
      .hnsw = { OCT_UNSET, OCT_UNSET, OCT_UNSET, OCT_UNSET, OCT_UNSET, OCT_UNSET } }
};

static oct_collection_config config_with(uint64_t full_scan, uint64_t indexing)
{
    oct_collection_config config = { .vectors = vectors, .vector_count = 1, .single_vector = true };
    config.hnsw = (oct_hnsw_config){ OCT_UNSET, 50,        full_scan,
                                     OCT_UNSET, OCT_UNSET, OCT_UNSET };
    config.optimizers = (oct_optimizers_config){ .deleted_threshold = 0.2,
                                                 .indexing_threshold = indexing };
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
    oct_collection_config off = config_with(2000, 0);
    CHECK(oct_plan_search(&off, 0, &query, &facts).way == OCT_PLAN_SCAN);
    oct_collection_config later = config_with(5000, 3000);
    CHECK(oct_plan_search(&later, 0, &query, &facts).way == OCT_PLAN_SCAN);
    facts.has_graph = true;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_WALK);
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
    oct_plan_facts facts = { .has_graph = true, .selected = MANY, .wanted = 10 };
    CHECK(plan_for(&query, facts).way == OCT_PLAN_WALK);
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
    oct_plan_facts facts = { .has_graph = true, .selected = 800, .wanted = 1 };
    CHECK(plan_for(&query, facts).way == OCT_PLAN_SCAN);
    facts.selected = 801;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_WALK);
    facts.wanted = 801;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_SCAN);
}

TEST(filters_scan_below_the_full_scan_threshold)
{
    const oct_query query = { .hnsw_ef = 10 };
    oct_plan_facts facts = { .has_graph = true, .filtered = true, .selected = 2000, .wanted = 1 };
    CHECK(plan_for(&query, facts).way == OCT_PLAN_SCAN);
    facts.selected = 2001;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_WALK);
    facts.selected = 2000;
    facts.filtered = false;
    CHECK(plan_for(&query, facts).way == OCT_PLAN_WALK);
}

TEST_MAIN(without_a_graph_is_a_scan, indexed_only_skips_what_waits_for_a_graph, exact_is_a_scan,
          the_width_comes_from_query_config_or_wanted, few_points_are_scanned,
          filters_scan_below_the_full_scan_threshold)

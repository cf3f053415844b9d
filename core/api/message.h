/* SPDX-License-Identifier: Apache-2.0
 *
 * message.h - a whole request and a whole response: which operation, and its typed parts of
 * octant/request.h. Every door decodes into oct_request and encodes from oct_response; what is
 * between (api/exec.h) knows neither text nor bytes of a wire. */
#ifndef OCTANT_API_MESSAGE_H
#define OCTANT_API_MESSAGE_H

#include "db/db.h"
#include "octant/request.h"

/* Qdrant's defaults and bounds of members, for every codec. */
enum {
    OCT_DEFAULT_LIMIT = 10,
    OCT_LIMIT_MIN = 1,
    OCT_HNSW_EF_MIN = 1,
    OCT_MIN_COUNT_MIN = 1,
    OCT_TIMEOUT_MIN = 1 /* seconds */
};

typedef enum oct_access {
    OCT_ACCESS_OPEN,
    OCT_ACCESS_READ,
    OCT_ACCESS_WRITE,
    OCT_ACCESS_MANAGE
} oct_access;

typedef enum oct_op {
#define OP(name, access, verb, path, grpc) OCT_OP_##name,
#include "api/ops.def"
#undef OP
    OCT_OP_COUNT
} oct_op;

typedef struct oct_op_info {
    const char *name;
    oct_access access;
    const char *verb;
    const char *path; /* template, see ops.def */
    const char *grpc; /* "package.Service/Method" or "" */
} oct_op_info;

const oct_op_info *oct_op_describe(oct_op op); /* op < OCT_OP_COUNT */

/* How far a request came: what an error is about. It decides how the message begins (call.c). */
typedef enum oct_stage {
    OCT_STAGE_PATH,    /* the path's parameters */
    OCT_STAGE_QUERY,   /* the parameters behind the '?' */
    OCT_STAGE_BODY,    /* the JSON body */
    OCT_STAGE_REFUSED, /* understood, but not something we do */
    OCT_STAGE_EXEC     /* everything below */
} oct_stage;

typedef struct oct_request {
    oct_op op;
    oct_stage stage;
    oct_str collection; /* path parameters, percent-decoded */
    oct_str field;
    oct_str id;
    bool wait;
    union {                           /* by op */
        oct_collection_config config; /* collections_create, collections_update */
        oct_write write;              /* access WRITE */
        oct_query query;              /* points_query, points_search */
        struct {                      /* points_query_batch, points_search_batch */
            const oct_query *queries; /* [query_count] */
            uint32_t query_count;
        };
        oct_scroll scroll;
        oct_count count;
        oct_retrieve retrieve; /* points_retrieve, points_get */
    };
} oct_request;

typedef struct oct_response {
    oct_collection *pinned; /* what the response may point into; NULL when nothing */
    union {                 /* by op */
        bool flag;          /* created, updated, deleted, exists */
        struct {
            const oct_str *names;
            uint32_t name_count;
        };
        oct_collection_info info;
        oct_memory_report memory;
        oct_write_result write;
        oct_found found;
        const oct_found *founds; /* [request->query_count] */
        uint64_t count;
    };
} oct_response;

#endif

/* health.c - what is amiss with this node, in a line each. */
#include "core/node/health.h"

#include "core/net/net.h"
#include "core/node/scrub.h"
#include "ledger/state/param.h"
#include "ledger/state/stake.h"

#include <inttypes.h>
#include <stdio.h>

#define QUIET_MS     5000 /* views that end in nothing are not yet a halt */
#define QUIET_BLOCKS 10

static unsigned percent(uint64_t part, uint64_t all)
{
    return all ? (unsigned)((double)part * 100 / (double)all + 0.5) : 0;
}

/* Why no block comes, as far as that can be told: what is missing is said before what is heard. */
static void halt_cause(struct qn_node *node, const struct qn_replica_info *info,
                       char dst[HEALTH_TEXT])
{
    struct qn_net *net = qn_node_net(node);
    if (!net && info->quorum > info->heard)
        snprintf(
            dst, HEALTH_TEXT,
            "this node has no network; start it with quoin up --join ADDR, or --listen IP:PORT");
    else if (net && info->peers == 0 && qn_net_others(net))
        snprintf(dst, HEALTH_TEXT,
                 "all peers speak another version of this chain's protocol; install the one they "
                 "run");
    else if (info->peers || !health_deaf(node, dst))
        snprintf(dst, HEALTH_TEXT,
                 "of the weight %u %% was heard in view %" PRIu64 ", a block needs %u %%",
                 percent(info->heard, info->weight), info->view,
                 percent(info->quorum, info->weight));
}

bool health_halted(const struct qn_call_ctx *ctx, char dst[HEALTH_TEXT])
{
    const struct qn_replica_info info = qn_replica_info(qn_node_replica(ctx->node));
    uint64_t now = qn_env_now_ms(ctx->env), last = qn_view_now_ms(ctx->view);
    char cause[HEALTH_TEXT];
    if (qn_node_join(ctx->node) || now < last + QUIET_MS + QUIET_BLOCKS * info.block_ms)
        return false;
    halt_cause(ctx->node, &info, cause);
    snprintf(dst, HEALTH_TEXT, "no block for %.0f s (one should come every %.1f s): %.*s",
             (double)(now - last) / 1000, (double)info.block_ms / 1000, HEALTH_TEXT - 80, cause);
    return true;
}

/* A validator that does not vote yet: what for, and until when. */
static void waits(const struct qn_call_ctx *ctx, const struct qn_hash *id,
                  const struct qn_validator *v, char dst[HEALTH_TEXT])
{
    struct qn_stake_sets *sets = qn_arena_alloc(ctx->arena, sizeof *sets);
    if (!sets) return;
    qn_stake_set(ctx->view, sets);
    uint64_t now = qn_view_now_ms(ctx->view), epoch_ms = qn_param(ctx->view, QN_PARAM_epoch_ms),
             own = qn_stake_of(ctx->view, id, v, &v->owner).uqn,
             least = qn_param(ctx->view, QN_PARAM_bond_min),
             left_s = sets->ends_ms > now ? (sets->ends_ms - now + 999) / 1000 : 0;
    if (qn_set_find(&sets->next, &v->key) >= 0)
        snprintf(dst, HEALTH_TEXT,
                 "validator of the next epoch, %u: it begins in about %" PRIu64 " s",
                 sets->next.epoch, left_s);
    else if (own < least)
        snprintf(dst, HEALTH_TEXT,
                 "waits: to be elected its owner needs %.2f QN staked there, and has %.2f",
                 (double)least / 1e6, (double)own / 1e6);
    else
        snprintf(dst, HEALTH_TEXT,
                 "waits: who is elected in about %" PRIu64 " s, when epoch %u ends, votes from "
                 "epoch %u on, about %" PRIu64 " s later",
                 left_s, sets->now.epoch, sets->now.epoch + 2, epoch_ms / 1000);
}

bool health_self(const struct qn_call_ctx *ctx, char dst[HEALTH_TEXT])
{
    const struct qn_replica_info info = qn_replica_info(qn_node_replica(ctx->node));
    const struct qn_hash id = qn_acct_key(qn_node_validator(ctx->node));
    uint64_t now = qn_view_now_ms(ctx->view);
    struct qn_validator v;
    char hex[65];
    if (info.self >= 0)
        snprintf(dst, HEALTH_TEXT, "validator %d of %u", info.self + 1, info.validators);
    else
        snprintf(dst, HEALTH_TEXT, "follows %u validator%s", info.validators,
                 info.validators == 1 ? "" : "s");
    const struct scrub *scrub = qn_node_scrub(ctx->node);
    if (scrub && scrub_damage(scrub)) {
        snprintf(dst, HEALTH_TEXT,
                 "votes no more, state.mdb is damaged (%.120s): quoin ledger repair, and look "
                 "after the disk",
                 scrub_damage(scrub));
        return true;
    }
    const char *lost = qn_node_lost_key(ctx->node);
    bool staked = qn_stake_get(ctx->view, &id, ctx->arena, &v) == QN_OK;
    if (!staked && lost[0]) {
        snprintf(dst, HEALTH_TEXT,
                 "follows: wallet/validator.key is not the key of this home's journal%s%.8s%s: put "
                 "that one back, and start again",
                 *lost == '?' ? "" : " (", *lost == '?' ? "" : lost, *lost == '?' ? "" : "..)");
        return true;
    }
    if (!staked) return false;
    if (!qn_node_signs(ctx->node) && !v.barred && !qn_node_join(ctx->node)) {
        snprintf(dst, HEALTH_TEXT,
                 "does not sign, its journal was restored or is another's: quoin validator rearm, "
                 "then start again");
        return true;
    }
    if (!v.barred && !v.jailed_ms) {
        if (info.self < 0) waits(ctx, &id, &v, dst);
        return false;
    }
    qn_hex(id.b, 32, hex);
    if (v.barred)
        snprintf(dst, HEALTH_TEXT,
                 "barred for good, its key signed twice: a new home, so a new key, and quoin "
                 "validator create there");
    else if (now < v.jailed_ms)
        snprintf(dst, HEALTH_TEXT,
                 "jailed, it missed too many votes: in %" PRIu64
                 " s, by its owner, quoin validator unjail --validator %s",
                 (v.jailed_ms - now + 999) / 1000, hex);
    else
        snprintf(
            dst, HEALTH_TEXT,
            "jailed, it missed too many votes: by its owner, quoin validator unjail --validator %s",
            hex);
    return true;
}

bool health_deaf(struct qn_node *node, char dst[HEALTH_TEXT])
{
    const struct qn_net *net = qn_node_net(node);
    uint32_t cnt = 0, up = net ? qn_net_joined(net, &cnt) : 0;
    if (up || cnt == 0) return false;
    if (cnt == 1)
        snprintf(dst, HEALTH_TEXT, "nobody answers at %.200s", qn_net_join(net));
    else
        snprintf(dst, HEALTH_TEXT, "nobody answers at any of the %u addresses to join", cnt);
    return true;
}

/* settle.c - how a run and a dispute end, and where the money goes. */
#include "modules/training/training.h"

#include <string.h>

#define CHALLENGER_PPM                                                                             \
    450000 /* of a convicted solver's bond; the requester's share and what is burnt make the rest */
#define REQUESTER_PPM 250000

/* Money of this module lies in accounts of its own, so a posting out of them cannot fail. */
static void move(struct qn_apply *ap, const struct qn_hash *from, const struct qn_hash *to,
                 struct qn_amount amount)
{
    qn_rc rc = qn_post(ap, from, to, amount, NULL);
    QN_ASSERT(rc == QN_OK);
}

static void run_ended(struct qn_apply *ap, const struct qn_hash *job_id, struct training_job *job)
{
    job->ended++;
    QN_ASSERT(job->ended <= job->taken);
    if (job->ended == job->taken) {
        struct qn_hash escrow = training_escrow_acct(job_id);
        job->state = TRAINING_JOB_CLOSED;
        /* What is left came from strangers. */
        move(ap, &escrow, &job->requester, qn_view_balance(ap->view, &escrow));
    }
    training_job_save(ap, job_id, job);
}

static void job_of(struct qn_apply *ap, const struct training_run *run, struct training_job *ret)
{
    qn_rc rc = training_job_get(ap->view, ap->arena, &run->job, ret, NULL);
    QN_ASSERT(rc == QN_OK);
}

void training_run_pay(struct qn_apply *ap, const struct qn_hash *run_id, struct training_run *run)
{
    struct training_job job;
    struct qn_hash escrow = training_escrow_acct(&run->job), bond = training_bond_acct(run_id);
    QN_ASSERT(run->state == TRAINING_RUN_WINDOW && run->game_cnt == 0);
    job_of(ap, run, &job);
    move(ap, &escrow, &run->solver, job.pay);
    move(ap, &bond, &run->solver, job.bond);
    qn_due_del(ap, TRAINING_DUE_WINDOW, run_id);
    run->state = TRAINING_RUN_PAID;
    training_run_save(ap, run_id, run);
    run_ended(ap, &run->job, &job);
    qn_emit(ap, "train.paid", run_id, training_run_record(), run);
}

/* A solver that was silent too long: not a lie, but the requester waited. */
void training_due_commit(struct qn_apply *ap, const struct qn_hash *run_id)
{
    struct training_run run;
    struct training_job job;
    struct qn_hash bond = training_bond_acct(run_id);
    qn_rc rc = training_run_get(ap->view, ap->arena, run_id, &run, NULL);
    QN_ASSERT(rc == QN_OK && run.state == TRAINING_RUN_RUNNING);
    job_of(ap, &run, &job);
    if (run.game_cnt) { /* the dispute decides first */
        run.until_ms = ap->now_ms + job.commit_ms;
        qn_due_set(ap, TRAINING_DUE_COMMIT, run_id, run.until_ms);
        training_run_save(ap, run_id, &run);
        return;
    }
    struct qn_hash escrow = training_escrow_acct(&run.job);
    struct qn_amount fine = QN_UQN(job.bond.uqn / 10);
    move(ap, &escrow, &job.requester, job.pay);
    move(ap, &bond, &job.requester, fine);
    move(ap, &bond, &run.solver, QN_UQN(job.bond.uqn - fine.uqn));
    run.state = TRAINING_RUN_LOST;
    training_run_save(ap, run_id, &run);
    run_ended(ap, &run.job, &job);
    qn_emit(ap, "train.lost", run_id, training_run_record(), &run);
}

void training_due_window(struct qn_apply *ap, const struct qn_hash *run_id)
{
    struct training_run run;
    qn_rc rc = training_run_get(ap->view, ap->arena, run_id, &run, NULL);
    QN_ASSERT(rc == QN_OK && run.state == TRAINING_RUN_WINDOW);
    if (run.game_cnt == 0) {
        training_run_pay(ap, run_id, &run);
        return;
    }
    run.over = true; /* paid when the last dispute ends in its favour */
    training_run_save(ap, run_id, &run);
}

static void game_over(struct qn_apply *ap, const struct qn_hash *game_id,
                      struct training_game *game, uint8_t result)
{
    struct training_pair_key key = training_pair(&game->run, game_id);
    QN_ASSERT(game->result == TRAINING_OPEN);
    game->result = result;
    game->phase = TRAINING_OVER;
    game->list.cnt = 0;
    game->nodes.cnt = 0; /* what matters stays: operator, tile, both hashes */
    qn_row_del(ap, TRAINING_T_RUN_GAME, QN_SPAN_OF(key));
    qn_due_del(ap, TRAINING_DUE_MOVE, game_id);
    training_game_save(ap, game_id, game);
    qn_emit(ap, "game.verdict", game_id, training_game_record(), game);
}

/* Whoever else challenged a run that is convicted already has his bond back. */
static void end_others(struct qn_apply *ap, const struct qn_hash *run_id)
{
    struct qn_span key, val, none = { 0 };
    struct training_game game;
    struct qn_hash id;
    while (qn_view_next(ap->view, TRAINING_T_RUN_GAME, QN_SPAN_OF(*run_id), none, &key, &val)) {
        QN_ASSERT(key.len == 64);
        memcpy(id.b, key.ptr + 32, 32);
        qn_rc rc = training_game_get(ap->view, ap->arena, &id, &game, NULL);
        QN_ASSERT(rc == QN_OK);
        struct qn_hash acct = training_game_acct(&id);
        move(ap, &acct, &game.challenger, game.bond);
        game_over(ap, &id, &game, TRAINING_MOOT);
    }
}

void training_run_convict(struct qn_apply *ap, const struct qn_hash *run_id,
                          const struct qn_hash *game_id, struct training_game *game)
{
    struct training_run run;
    struct training_job job;
    struct qn_hash bond = training_bond_acct(run_id), stake = training_game_acct(game_id),
                   burnt = qn_acct_burnt();
    qn_rc rc = training_run_get(ap->view, ap->arena, run_id, &run, NULL);
    QN_ASSERT(rc == QN_OK &&
              (run.state == TRAINING_RUN_RUNNING || run.state == TRAINING_RUN_WINDOW));
    job_of(ap, &run, &job);
    struct qn_hash escrow = training_escrow_acct(&run.job);
    struct qn_amount his = qn_amount_ppm(job.bond, CHALLENGER_PPM),
                     theirs = qn_amount_ppm(job.bond, REQUESTER_PPM);
    move(ap, &bond, &game->challenger, his);
    move(ap, &bond, &job.requester, theirs);
    move(ap, &bond, &burnt, QN_UQN(job.bond.uqn - his.uqn - theirs.uqn));
    move(ap, &escrow, &job.requester, job.pay);
    move(ap, &stake, &game->challenger, game->bond);
    game->slashed = job.bond;
    game_over(ap, game_id, game, TRAINING_CHALLENGER);
    end_others(ap, run_id);
    qn_due_del(ap, TRAINING_DUE_WINDOW, run_id);
    qn_due_del(ap, TRAINING_DUE_COMMIT, run_id);
    run.state = TRAINING_RUN_CONVICTED;
    run.game_cnt = 0;
    run.game = (struct qn_opt_hash){ true, *game_id };
    training_run_save(ap, run_id, &run);
    run_ended(ap, &run.job, &job);
    qn_emit(ap, "train.convicted", run_id, training_run_record(), &run);
}

void training_game_acquit(struct qn_apply *ap, const struct qn_hash *game_id,
                          struct training_game *game)
{
    struct training_run run;
    struct qn_hash run_id = game->run, stake = training_game_acct(game_id), burnt = qn_acct_burnt();
    qn_rc rc = training_run_get(ap->view, ap->arena, &run_id, &run, NULL);
    QN_ASSERT(rc == QN_OK && run.game_cnt > 0);
    struct qn_amount half = QN_UQN(game->bond.uqn / 2);
    move(ap, &stake, &game->solver, half);
    move(ap, &stake, &burnt, QN_UQN(game->bond.uqn - half.uqn));
    game->slashed = game->bond;
    game_over(ap, game_id, game, TRAINING_SOLVER);
    run.game_cnt--;
    if (run.over && run.game_cnt == 0)
        training_run_pay(ap, &run_id, &run);
    else
        training_run_save(ap, &run_id, &run);
}

void training_due_move(struct qn_apply *ap, const struct qn_hash *game_id)
{
    struct training_game game;
    qn_rc rc = training_game_get(ap->view, ap->arena, game_id, &game, NULL);
    QN_ASSERT(rc == QN_OK && game.result == TRAINING_OPEN);
    if (training_solver_moves(game.phase)) {
        struct qn_hash run_id = game.run;
        training_run_convict(ap, &run_id, game_id, &game);
    } else {
        training_game_acquit(ap, game_id, &game);
    }
}

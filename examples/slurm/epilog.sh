#!/bin/sh
# EpilogSlurmctld: reports how a job ended, by SLURM_JOB_EXIT_CODE2, which is code:signal.
for pair in ${SLURM_JOB_COMMENT:-}; do
  case $pair in
  owner=*) export OPERATOR_OWNER="${pair#owner=}" ;;
  agreement=*) export OPERATOR_AGREEMENT_ID="${pair#agreement=}" ;;
  esac
done
case ${SLURM_JOB_EXIT_CODE2:-0:0} in
0:0) set -- --outcome succeeded ;;
*:15 | *:2 | 143:* | 130:*) set -- --outcome cancelled ;; # scancel sends SIGTERM
*) set -- --outcome failed --error "Slurm's exit code $SLURM_JOB_EXIT_CODE2" ;;
esac
status-worker publish finished --timeout 5 "$@"
exit 0

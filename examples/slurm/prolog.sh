#!/bin/sh
# PrologSlurmctld: reports that a job was taken up. Its owner and agreement are in its comment, as who submits it writes:
#   sbatch --comment 'owner=0x1111 agreement=0x2222' job.sh
# Which job it is, and which attempt, are SLURM_JOB_ID and SLURM_RESTART_COUNT. Whatever happens here, the job begins.
for pair in ${SLURM_JOB_COMMENT:-}; do
  case $pair in
  owner=*) export OPERATOR_OWNER="${pair#owner=}" ;;
  agreement=*) export OPERATOR_AGREEMENT_ID="${pair#agreement=}" ;;
  esac
done
status-worker publish started --timeout 5 && status-worker publish running --timeout 5
exit 0
